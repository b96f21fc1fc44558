"""Rows that pairs are made of: what is small stays in memory, pictures lie in one temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.stage import Row, Rows


class RowShelf:
    """Rows with an image, by id. A context manager: the file goes with it."""

    def __init__(self, rows: Rows, wanted: Iterable[str], folder: Path | None = None) -> None:
        wanted = set(wanted)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed with the shelf)
        self._rows: dict[str, Row] = {}
        self._pictures: dict[str, tuple[int, int]] = {}
        for row in rows:
            if row["id"] not in wanted:
                continue
            data = row["image"]["bytes"]
            if row["image_id"] not in self._pictures:
                self._pictures[row["image_id"]] = (self._file.tell(), len(data))
                self._file.write(data)
            self._rows[row["id"]] = {**row, "image": {**row["image"], "bytes": None}}

    def __getitem__(self, row_id: str) -> Row:
        """The row, whole."""
        row = self._rows[row_id]
        place, size = self._pictures[row["image_id"]]
        self._file.seek(place)
        data = self._file.read(size)
        if len(data) != size:
            raise StoreError(f"the picture of row {row_id!r} cannot be read back from the temporary file")
        return {**row, "image": {**row["image"], "bytes": data}}

    def __enter__(self) -> RowShelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
