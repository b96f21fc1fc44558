"""Feeding a map stage: rows without an outcome go out in batches, outcomes come back into their shards."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from contextrl_data.pipeline.calls import Meter
from contextrl_data.pipeline.counters import StageProgress
from contextrl_data.pipeline.errors import InputError, StoreError
from contextrl_data.pipeline.executors import Batch, Places
from contextrl_data.pipeline.journal import Journal, digest_of
from contextrl_data.pipeline.progress import Progress
from contextrl_data.pipeline.shards import ShardBuilder, stored_schema
from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row
from contextrl_data.pipeline.store import SHARD_ROWS, StageFolder
from contextrl_data.pipeline.stored import StoredRows

BATCH_ROWS = 64
"""Most rows that a process takes at a time."""


class Feed:
    """Hands out batches of rows without an outcome, and puts the outcomes that come back into their shards."""

    def __init__(
        self,
        stage: Map[Any],
        folder: StageFolder,
        main: StoredRows,
        journal: Journal | None,
        part_rows: int,
        shown: StageProgress,
        progress: Progress,
    ) -> None:
        self.stage, self.folder, self.main, self.journal = stage, folder, main, journal
        self.part_rows, self.shown, self.progress = part_rows, shown, progress
        self.by_place = not stage.dear and stage.work == "process"
        self._flying: dict[int, tuple[ShardBuilder, list[int], list[tuple[str, str]]]] = {}
        self._number = 0
        self._meter = Meter(folder)
        self._seen: set[str] = set()

    def batches(self) -> Iterator[Batch]:
        """Yield numbered batches; shards found whole on disk are only counted."""
        ids = (row["id"] for row in self.main.select(["id"]))
        ends = self.main.ends() if self.by_place else []
        for index in range(-(-len(self.main) // SHARD_ROWS)):
            window = list(islice(ids, SHARD_ROWS))
            self._check_ids(window)
            if self.folder.ledger(index).exists():
                self._count_found(index)
                continue
            builder = ShardBuilder(self.folder, index, window, stored_schema(self.stage), self.part_rows)
            self._count_resumed(builder)
            yield from self._places(builder, ends) if self.by_place else self._rows(builder)
            self._write_if_complete(builder)

    def _places(self, builder: ShardBuilder, ends: list[int]) -> Iterator[Batch]:
        """Rows by their places, those of one row group together: a worker reads them itself."""
        start = builder.index * SHARD_ROWS
        missing = builder.missing()
        # What comes back of a stage that adds columns is light.
        most = BATCH_ROWS if self.main.in_pieces or not self.stage.adds else SHARD_ROWS
        while missing:
            end = ends[bisect_right(ends, start + missing[0])]
            size = min(bisect_left(missing, end - start), most)
            batch, missing = missing[:size], missing[size:]
            keys = [(builder.ids[place], "") for place in batch]
            yield self._send(builder, Places(tuple(start + place for place in batch)), batch, keys)

    def _rows(self, builder: ShardBuilder) -> Iterator[Batch]:
        """Single rows, for work that is dear or waits; those whose outcome is in the journal need none."""
        missing = builder.missing()
        start = builder.index * SHARD_ROWS
        tables = self.main.tables(None, np.asarray(missing, np.int64) + start)
        rows = (row for table in tables for row in table.to_pylist())
        for place, row in zip(missing, rows, strict=True):
            key = (row["id"], digest_of(row)) if self.journal is not None else (row["id"], "")
            if self.journal is not None and (known := self.journal.find(*key)) is not None:
                builder.put(place, known)
                self._count(known, resumed=True)
                continue
            yield self._send(builder, [row], [place], [key])

    def _send(
        self, builder: ShardBuilder, batch: list[Row] | Places, places: list[int], keys: list[tuple[str, str]]
    ) -> Batch:
        self._number += 1
        self._flying[self._number] = (builder, places, keys)
        return self._number, batch

    def take(self, number: int, outcomes: list[Outcome]) -> None:
        """Put the outcomes of one batch where they belong."""
        builder, places, keys = self._flying.pop(number)
        for place, key, outcome in zip(places, keys, outcomes, strict=True):
            if self.journal is not None:
                self.journal.append(*key, outcome)
            builder.put(place, outcome)
            self._count(outcome)
        self._write_if_complete(builder)

    def finish(self) -> None:
        """Raise `StoreError` where an executor lost a batch."""
        if self._flying:
            raise StoreError(f"{self.stage.name}: the executor ended with {len(self._flying)} batches unanswered")

    def _write_if_complete(self, builder: ShardBuilder) -> None:
        if builder.complete() and not self.folder.ledger(builder.index).exists():
            builder.write()

    def _check_ids(self, ids: list[str]) -> None:
        for row_id in ids:
            if row_id in self._seen:
                raise InputError(
                    f"{self.stage.name}: two input rows have the id {row_id!r}",
                    "make the ids unique in the source",
                )
            self._seen.add(row_id)

    def _count(self, outcome: Outcome, resumed: bool = False) -> None:
        self.shown.count(outcome)
        self.shown.resumed += resumed
        if self.stage.dear:
            self.shown.cost = self._meter.dollars()
        self.progress.refresh()

    def _count_resumed(self, builder: ShardBuilder) -> None:
        for outcome in builder.outcomes:
            if outcome is not None:
                self._count(outcome, resumed=True)

    def _count_found(self, index: int) -> None:
        for entry in pq.read_table(self.folder.ledger(index), columns=["status", "reason"]).to_pylist():
            made = Keep([]) if entry["status"] == "kept" else Drop(entry["reason"])
            self._count(made, resumed=True)
