"""Lines of a file that anybody made: one that is too long is told, and never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

CHUNK = 1 << 20
LONGEST_LINE = 256 << 20
"""Bytes of one row above which it is not read, where no setting says otherwise."""


def split_lines(handle: IO[bytes], max_bytes: int = LONGEST_LINE) -> Iterator[bytes | None]:
    """Lines without their ends; None for one longer than `max_bytes`, of which at most that much is held."""
    held: list[bytes] = []
    size = 0
    while chunk := handle.read(CHUNK):
        first, *rest = chunk.split(b"\n")
        size += len(first)
        held = [*held, first] if not held or size <= max_bytes else [b""]
        for piece in rest:
            yield b"".join(held) if size <= max_bytes else None
            held, size = [piece], len(piece)
    if size:
        yield b"".join(held) if size <= max_bytes else None
