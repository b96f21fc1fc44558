"""How pairs lie in the page: an index of all, and compressed chunks that the browser unpacks as pairs are opened.

Message texts are stored once per chunk and whole contexts once per page: both directions of a pair show the same two,
and one trajectory may stand in many pairs. Pictures are stored once per page, each for itself.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from typing import IO, Any

import orjson

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.report.gallery import Gallery

CHUNK_CHARS = 600_000
"""Characters of new text and columns after which a chunk is closed: what the browser unpacks to show one pair."""

BATCH = 32
"""Pairs whose pictures are made side by side."""

INDEXED = ("id", "pair_id", "kind", "method", "domain", "renderer", "repo", "split", "verdict", "direction")
"""Columns that the list shows and the filters ask for."""

SEARCHED = ("id", "file", "symbol", "repo", "instance_pos", "instance_neg", "source")
SEARCHED_IMAGES = ("question", "answer", "answer_neg", "image_id_pos", "image_id_neg")

HEAVY = ("context_pos", "context_neg", "image_pos", "image_neg")
"""Columns that are stored apart."""


class Pack:
    """Takes pairs and writes finished chunks and pictures to `out`."""

    def __init__(self, out: IO[str], picture_bytes: int) -> None:
        self.out = out
        self.index: list[dict[str, Any]] = []
        self.written = 0
        """Characters written so far."""
        self._contexts: dict[bytes, tuple[int, int]] = {}
        self._gallery = Gallery(self._write, picture_bytes)
        self._number = 0
        self._closed: dict[int, dict[str, Any]] = {}
        """Full chunks that are not written yet, by number."""
        self._begin()

    def add_all(self, rows: Iterable[Row], max_chars: int) -> None:
        """Put in the pairs one after the other until `max_chars` are written, or there are no more."""
        stream = iter(rows)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while self.written <= max_chars and (batch := list(islice(stream, BATCH))):
                self._gallery.prepare(batch)
                for row in batch:
                    self._add(row)
                self._write_closed(pool)
            self._close()
            self._write_closed(pool)

    def _write_closed(self, pool: Executor) -> None:
        """Write the chunks that are full, deflated side by side: zlib works outside the interpreter's lock."""
        for number, text in zip(self._closed, pool.map(packed, self._closed.values()), strict=True):
            self._write(f"chunk-{number}", text)
        self._closed.clear()

    def _add(self, row: Row) -> None:
        """Put one pair into the current chunk; close the chunk where it is full."""
        sides = {}
        for letter, side in zip("ab", ("pos", "neg") if row["correct_option"] == "A" else ("neg", "pos"), strict=True):
            sides[letter] = self._side(row, side)
        plain = {name: value for name, value in row.items() if name not in HEAVY and not isinstance(value, bytes)}
        self._pairs.append({"row": plain, **sides})
        self._chars += len(str(plain))
        self.index.append({**index_line(row), "chunk": self._number, "place": len(self._pairs) - 1})
        if self._chars > CHUNK_CHARS:
            self._close()

    def _close(self) -> None:
        """Lay the current chunk aside for writing, and begin the next."""
        if self._pairs:
            chunk = {"texts": list(self._texts), "contexts": self._new_contexts, "pairs": self._pairs}
            self._closed[self._number] = chunk
            self._number += 1
        self._begin()

    def _begin(self) -> None:
        self._texts: dict[str, int] = {}
        self._new_contexts: list[list[tuple[str, int]]] = []
        self._pairs: list[dict[str, Any]] = []
        self._chars = 0

    def _side(self, row: Row, side: str) -> dict[str, Any]:
        found: dict[str, Any] = {"side": side}
        if row.get(f"context_{side}") is not None:
            found["context"] = self._context(row[f"context_{side}"])
        if row.get(f"image_{side}") is not None:
            found["picture"] = self._gallery.place(row[f"image_{side}"], row)
        return found

    def _context(self, messages: list[dict[str, Any]]) -> tuple[int, int]:
        """Chunk and place of a context, stored at its first use."""
        pairs = [(message["role"] or "", message["content"] or "") for message in messages]
        key = hashlib.sha256(orjson.dumps(pairs)).digest()
        if key not in self._contexts:
            self._new_contexts.append([(role, self._text(text)) for role, text in pairs])
            self._contexts[key] = (self._number, len(self._new_contexts) - 1)
        return self._contexts[key]

    def _text(self, text: str) -> int:
        if text not in self._texts:
            self._chars += len(text)
        return self._texts.setdefault(text, len(self._texts))

    def _write(self, name: str, text: str) -> None:
        self.written += self.out.write(element(name, text))


def element(name: str, text: str) -> str:
    """Data as an element that the browser neither runs nor shows; `text` is base64."""
    return f'<script type="text/plain" id="{name}">{text}</script>\n'


def packed(data: Any) -> str:
    """JSON, deflated, as base64. What is no number (NaN) becomes null."""
    raw = orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)
    return base64.b64encode(zlib.compress(raw)).decode()


def index_line(row: Row) -> dict[str, Any]:
    """What the list and the filters need of a pair."""
    images = row.get("image_pos") is not None
    name = row["question"] if images else row.get("symbol") or row.get("file") or row["id"]
    searched = [row.get(column) or "" for column in SEARCHED + (SEARCHED_IMAGES if images else ())]
    line = {column: row.get(column) or "" for column in INDEXED}
    return {**line, "name": name, "answer": row["answer"] if images else "", "text": " ".join(searched).lower()}


def columns_of(index: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The index by column: equal values lie side by side and compress to little."""
    return {name: [line[name] for line in index] for name in index[0]} if index else {}
