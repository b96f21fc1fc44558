"""Outcomes of dear rows, appended as soon as each is done, so that a kill never costs a rollout twice.

One JSON line per outcome: the row's id, the digest of the row that went in, and the outcome. A line that a kill cut in
half is cut off at the next start. Failures are not journalled: they are tried again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from contextrl_data.pipeline.stage import Drop, Keep, Outcome, Row
from contextrl_data.pipeline.store import disk_error

_BYTES = "contextrl:bytes"


def _packed(value: Any) -> dict[str, str]:
    """Bytes (pictures) as JSON."""
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot be kept in a journal")


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {_BYTES}:
            return base64.b64decode(value[_BYTES])
        return {name: _unpacked(each) for name, each in value.items()}
    return value


def digest_of(row: Row) -> str:
    """Digest of a row's content: an outcome is reused only for the very same row."""
    packed = orjson.dumps(row, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(packed).hexdigest()[:24]


class Journal:
    """Append-only, one writer (the runner), flushed to disk line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._places = self._scan()
        self._handle = path.open("ab")

    def _scan(self) -> dict[tuple[str, str], int]:
        """Find each finished outcome's offset; cut off what a kill left half written."""
        places: dict[tuple[str, str], int] = {}
        if not self.path.exists():
            return places
        end = 0
        with self.path.open("rb") as handle:
            for line in handle:
                try:
                    record = orjson.loads(line)
                    if not line.endswith(b"\n"):
                        break
                    places[(record["id"], record["digest"])] = end
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    break
                end += len(line)
        if end < self.path.stat().st_size:
            os.truncate(self.path, end)
        return places

    def __len__(self) -> int:
        return len(self._places)

    def find(self, row_id: str, digest: str) -> Outcome | None:
        """The outcome of this very row, or None."""
        place = self._places.get((row_id, digest))
        if place is None:
            return None
        with self.path.open("rb") as handle:
            handle.seek(place)
            line = handle.readline()
        record = orjson.loads(line)
        return _decode(_unpacked(record) if _BYTES.encode() in line else record)

    def append(self, row_id: str, digest: str, outcome: Outcome) -> None:
        """Write one outcome and wait until the disk has it."""
        if not isinstance(outcome, Keep | Drop):
            return
        line = orjson.dumps({"id": row_id, "digest": digest, **_encode(outcome)}, default=_packed) + b"\n"
        with self._lock:
            try:
                place = self._handle.seek(0, os.SEEK_END)
                self._handle.write(line)
                self._handle.flush()
                os.fsync(self._handle.fileno())
            except OSError as error:
                raise disk_error(self.path, error) from error
            self._places[(row_id, digest)] = place

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()


def _encode(outcome: Keep | Drop) -> dict[str, Any]:
    if isinstance(outcome, Keep):
        return {"keep": outcome.rows}
    return {"drop": outcome.reason}


def _decode(record: dict[str, Any]) -> Outcome:
    if "keep" in record:
        return Keep(record["keep"])
    return Drop(record["drop"])
