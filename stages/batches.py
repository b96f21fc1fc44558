"""Rows of Arrow batches that anybody made: one that cannot be decoded costs itself, not the file."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from contextrl_data.pipeline.stage import Row


def batch_rows(batch: pa.RecordBatch) -> Iterator[Row | None]:
    """The rows of a batch; None for one that cannot be decoded: bytes that are no UTF-8, dates out of range."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):  # find out whose
        for place in range(batch.num_rows):
            try:
                yield from batch.slice(place, 1).to_pylist()
            except (ValueError, OverflowError):
                yield None
