"""The pictures of a page: each stored once, several made at a time, numbered in the order of the pairs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.report.pictures import Picture, picture

MOST_THREADS = 8


class Gallery:
    """Takes the pictures of pairs; writes each new one through `write(name, base64)`."""

    def __init__(self, write: Callable[[str, str], None], budget: int) -> None:
        self.write, self.budget = write, budget
        self._made: dict[bytes, Picture | None] = {}
        self._placed: dict[bytes, dict[str, Any] | None] = {}

    def prepare(self, rows: Iterable[Row]) -> None:
        """Make the new pictures of these rows, side by side: Pillow works outside the interpreter's lock."""
        new: dict[bytes, bytes] = {}
        for row in rows:
            for image in (row.get("image_pos"), row.get("image_neg")):
                if image is not None and (key := _key(image)) not in self._placed:
                    new[key] = image["bytes"] or b""
        if new:
            with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
                made = pool.map(lambda data: picture(data, self.budget), new.values())
                self._made = dict(zip(new, made, strict=True))

    def place(self, image: dict[str, Any]) -> dict[str, Any] | None:
        """Number and true size of a prepared picture, written at its first use; None for one that cannot be read."""
        key = _key(image)
        if key not in self._placed:
            self._placed[key] = self._write(self._made[key], len(self._placed))
        return self._placed[key]

    def _write(self, made: Picture | None, number: int) -> dict[str, Any] | None:
        if made is None:
            return None
        self.write(f"picture-{number}", made.base64())
        facts = {"number": number, "mime": made.mime, "width": made.width, "height": made.height}
        return {**facts, "nbytes": made.nbytes, "exact": made.exact}


def _key(image: dict[str, Any]) -> bytes:
    return hashlib.sha256(image["bytes"] or b"").digest()
