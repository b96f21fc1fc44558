"""Files that a row of a dataset names: read only where they lie inside the dataset's own folder."""

from __future__ import annotations

from pathlib import Path

LARGEST_FILE = 256 << 20
"""Bytes above which a file that a row names is not read."""


class Outside(ValueError):
    """The name leads out of the folder, by `..`, an absolute path or a link."""


class TooLarge(ValueError):
    """The file is larger than allowed."""


def read_inside(folder: Path, name: str, max_bytes: int = LARGEST_FILE) -> bytes:
    """Read one regular file below a folder.

    Raises:
        Outside: it lies elsewhere, whatever lies there.
        TooLarge: it has more than `max_bytes`.
        OSError: there is no such file, or it is no regular one (a device or a pipe would never end).
        ValueError: no file can have this name.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise Outside(name)
    if not path.is_file():
        raise FileNotFoundError(f"no regular file {name!r}")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLarge(name)
    return data


def is_inside(name: str) -> bool:
    """Whether a relative name stays in the folder that it begins in, links aside."""
    path = Path(name)
    sound = "\0" not in name and not any("\ud800" <= letter <= "\udfff" for letter in name)
    return bool(path.parts) and sound and not path.is_absolute() and ".." not in path.parts
