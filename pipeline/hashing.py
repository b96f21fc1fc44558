"""What a file holds, as a hash; and whether it still holds it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.manifest import KeptFile

_known: dict[tuple[int, int, int, int], str] = {}


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_known(path: Path) -> str:
    """The same for files that may be gigabytes: one that nobody touched is read once in a process, under any name."""
    found = path.stat()
    identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    if identity not in _known:
        _known[identity] = sha256_file(path)
    return _known[identity]


def describe_file(path: Path, column: str) -> KeptFile:
    """A kept file, as the manifest names it."""
    found = path.stat()
    return KeptFile(
        name=path.name, column=column, sha256=sha256_known(path), size=found.st_size, mtime_ns=found.st_mtime_ns
    )


def checked_file(folder: Path, file: KeptFile) -> Path:
    """Path of a kept file of the stage in `folder`.

    Raises:
        StoreError: it is missing, or holds other bytes by now. They are read only where the file was touched since.
    """
    path = folder / "files" / file.name
    try:
        found = path.stat()
    except OSError:
        raise StoreError(f"{path} is missing: remove the folder {folder.name} and run the build again") from None
    if (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns) and sha256_known(path) != file.sha256:
        raise StoreError(
            f"{path} holds other bytes than when {folder.name} was made; it may share them with the file that was read, "
            "which was written to since: remove that folder and run the build again"
        )
    return path
