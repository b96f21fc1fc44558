"""The pictures of a page: each stored once, several made at a time, numbered in the order of the pairs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeAlias

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.report.pictures import CloseUp, Picture, close_up, picture

MOST_THREADS = 8

Box: TypeAlias = tuple[int, ...]
"""x0, y0, x1, y1 in pixels of the original; empty for the whole picture."""
Key: TypeAlias = tuple[bytes, Box]


class Gallery:
    """Takes the pictures of pairs; writes each new one through `write(name, base64)`.

    A picture that is shown as a thumbnail gets a close-up of each deciding region that a pair names, from the original:
    three quarters of its room are the thumbnail's, one quarter is the close-up's.
    """

    def __init__(self, write: Callable[[str, str], None], budget: int) -> None:
        self.write, self.budget = write, budget
        self._made: dict[Key, Picture | CloseUp | None] = {}
        self._placed: dict[Key, dict[str, Any] | None] = {}

    def prepare(self, rows: Iterable[Row]) -> None:
        """Make the new pictures of these rows, side by side: Pillow works outside the interpreter's lock."""
        wanted = [(image, _box(row)) for row in rows for image in (row.get("image_pos"), row.get("image_neg")) if image]
        if not wanted:
            return
        whole: dict[Key, bytes] = {(_sha(image), ()): image["bytes"] or b"" for image, _ in wanted}
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
            self._made = self._new(pool, whole, lambda data, _: picture(data, self.budget, self.budget * 3 // 4))
            parts = {(_sha(image), box): image["bytes"] for image, box in wanted if box and self._is_thumbnail(image)}
            self._made |= self._new(pool, parts, lambda data, box: close_up(data, box, self.budget // 4))

    def place(self, image: dict[str, Any], row: Row) -> dict[str, Any] | None:
        """Number and true size of a prepared picture, written at its first use; None for one that cannot be read."""
        sha, box = _sha(image), _box(row)
        found = self._write((sha, ()))
        part = self._write((sha, box)) if found and box and not found["exact"] else None
        return {**found, "part": part} if found and part else found

    def _new(self, pool: Executor, data: dict[Key, bytes], make: Callable[[bytes, Box], Any]) -> dict[Key, Any]:
        new = [key for key in data if key not in self._placed]
        return dict(zip(new, pool.map(lambda key: make(data[key], key[1]), new), strict=True))

    def _is_thumbnail(self, image: dict[str, Any]) -> bool:
        key = (_sha(image), ())
        if key in self._placed:
            placed = self._placed[key]
            return placed is not None and not placed["exact"]
        made = self._made[key]
        return isinstance(made, Picture) and not made.exact

    def _write(self, key: Key) -> dict[str, Any] | None:
        if key not in self._placed:
            self._placed[key] = self._facts(self._made[key], len(self._placed))
        return self._placed[key]

    def _facts(self, made: Picture | CloseUp | None, number: int) -> dict[str, Any] | None:
        if made is None:
            return None
        self.write(f"picture-{number}", made.base64())
        facts = {"number": number, "mime": made.mime}
        if isinstance(made, CloseUp):
            return facts
        return {**facts, "width": made.width, "height": made.height, "nbytes": made.nbytes, "exact": made.exact}


def _sha(image: dict[str, Any]) -> bytes:
    return hashlib.sha256(image["bytes"] or b"").digest()


def _box(row: Row) -> Box:
    box = row.get("box")
    return tuple(box) if box is not None and len(box) == 4 else ()
