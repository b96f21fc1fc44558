"""Every piece of text in a dataset's files, nested ones too, with the row and the column that hold it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError

BATCH = 50
"""Rows read at a time: two contexts a row are heavy."""


@dataclass(frozen=True, slots=True)
class Text:
    """One string of one row."""

    row: str
    """The row's id; the file and its number there where it has none."""
    column: str
    """Where it stands, such as `context_pos[3].content`."""
    value: str


def texts_of(paths: Sequence[Path]) -> Iterator[Text]:
    """Stream the texts of parquet and JSON lines files. Images and other binary columns are not read.

    Raises:
        InputError: a file cannot be read.
    """
    for path in paths:
        try:
            for number, row in enumerate(_lines(path) if path.suffix == ".jsonl" else _rows(path)):
                yield from _walk(str(row.get("id") or f"{path.name} {number}"), "", row)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise InputError(f"cannot read {path}: {error}", "export the dataset again") from error


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=text_leaves(file)):
            yield from batch.to_pylist()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def text_leaves(file: pq.ParquetFile) -> list[str]:
    """Paths of the columns that hold text, as parquet names them (`context_pos.list.element.content`)."""
    leaves = (file.schema.column(place) for place in range(len(file.schema)))
    return [leaf.path for leaf in leaves if leaf.logical_type.type in ("STRING", "JSON", "ENUM")]


def _walk(row: str, place: str, value: Any) -> Iterator[Text]:
    if isinstance(value, str):
        yield Text(row, place, value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(row, f"{place}.{name}" if place else name, inner)
    elif isinstance(value, (list, tuple)):  # a map's entries come as pairs
        for number, inner in enumerate(value):
            yield from _walk(row, f"{place}[{number}]", inner)
