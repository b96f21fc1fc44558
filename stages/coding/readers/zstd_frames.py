"""Whether a zstd file is whole. Its decoder ends silently at a cut, and a cut between two lines would go unseen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import zstandard

_SKIPPABLE = 0x184D2A50
_BLOCK_HEADER = 3


def is_whole(path: Path) -> bool:
    """Walk the frames by their headers, decoding nothing: every block that is announced must be there.

    >>> is_whole(Path("missing.zst"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'missing.zst'
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        while handle.tell() < size:
            if not _skip_frame(handle, size):
                return False
    return True


def _skip_frame(handle: IO[bytes], size: int) -> bool:
    start = handle.tell()
    head = handle.read(18)
    if int.from_bytes(head[:4], "little") & 0xFFFFFFF0 == _SKIPPABLE:
        return len(head) >= 8 and _seek(handle, start + 8 + int.from_bytes(head[4:8], "little"), size)
    try:
        handle.seek(start + zstandard.frame_header_size(head))
        checksum = zstandard.get_frame_parameters(head).has_checksum
    except zstandard.ZstdError:
        return False
    while True:
        block = handle.read(_BLOCK_HEADER)
        if len(block) < _BLOCK_HEADER:
            return False
        header = int.from_bytes(block, "little")
        stored = 1 if header >> 1 & 3 == 1 else header >> 3  # a run-length block stores its byte once
        if not _seek(handle, handle.tell() + stored, size):
            return False
        if header & 1:
            return not checksum or _seek(handle, handle.tell() + 4, size)


def _seek(handle: IO[bytes], place: int, size: int) -> bool:
    handle.seek(place, os.SEEK_SET)
    return place <= size
