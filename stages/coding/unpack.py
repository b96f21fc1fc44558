"""Source archives, which anybody may have packed, onto this machine's disk: never outside a folder, never without end."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from contextrl_data.pipeline.errors import InputError

LARGEST_SOURCE = 1 << 30
"""Bytes that an archive may unpack to."""
MOST_FILES = 50_000
"""Files, folders and links that it may hold."""


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a source archive; links and paths that lead out of the folder are refused, and so is what has no end."""
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter=_bounded())
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{archive.name} cannot be unpacked: {error}", "pin another version") from None
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    if len(inside) != 1:
        raise InputError(f"{archive.name} holds {len(inside)} folders at its top, not one", "pin another version")
    return inside[0]


def _bounded() -> Callable[[tarfile.TarInfo, str], tarfile.TarInfo | None]:
    """The standard library's filter for data, within bounds that are checked before a file is written."""
    files = nbytes = 0

    def check(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        nonlocal files, nbytes
        files, nbytes = files + 1, nbytes + member.size
        if files > MOST_FILES or nbytes > LARGEST_SOURCE:
            raise tarfile.TarError(f"it holds more than {MOST_FILES:,} files or {LARGEST_SOURCE >> 20:,} MiB")
        return tarfile.data_filter(member, folder)

    return check
