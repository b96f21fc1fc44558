"""Turning outcomes into shards: part by part while a stage runs, whole and canonical when a shard is complete."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.hashing import sha256_file
from contextrl_data.pipeline.in_files import FILE, ROW
from contextrl_data.pipeline.manifest import Shard
from contextrl_data.pipeline.stage import Drop, Fail, Keep, Map, Outcome, Row, Sift, Source, Stage
from contextrl_data.pipeline.store import (
    LEDGER,
    PLACE,
    SHARD_ROWS,
    StageFolder,
    ledger_row,
    table_of,
    write_table,
)


class ShardBuilder:
    """Collects the outcomes of one shard's input rows, in any order, and writes it when the last one is in.

    A schema with the column `PLACE` is that of a stage that writes no row again: the column is filled in here.

    With `part_rows` below the shard's size, every finished run of that many rows is saved as a part, so that a kill
    loses less; parts are joined when the shard is complete, and leave no trace in its bytes.
    """

    def __init__(self, folder: StageFolder, index: int, ids: list[str], schema: pa.Schema, part_rows: int) -> None:
        self.folder, self.index, self.ids, self.schema = folder, index, ids, schema
        self.part_rows = min(part_rows, SHARD_ROWS)
        self.outcomes: list[Outcome | None] = [None] * len(ids)
        self._left = len(ids)
        self._saved: set[int] = set()
        if self.part_rows < len(ids):
            self._load_parts()

    def missing(self) -> list[int]:
        """Places (0-based within the shard) whose outcome is still to come."""
        return [place for place, outcome in enumerate(self.outcomes) if outcome is None]

    def put(self, place: int, outcome: Outcome) -> None:
        """Record one outcome; saves the part that it completes."""
        self._left -= self.outcomes[place] is None
        self.outcomes[place] = outcome
        if self.part_rows < len(self.ids):
            self._save_part(place // self.part_rows)

    def complete(self) -> bool:
        """Whether every row has its outcome."""
        return self._left == 0

    def write(self) -> None:
        """Write data, then ledger: the ledger's presence says that the shard is whole."""
        outcomes = [outcome for outcome in self.outcomes if outcome is not None]
        data, ledger = self._tables(range(len(self.ids)), outcomes)
        write_shard(self.folder, self.index, data, ledger)
        for path in self.folder.parts.glob(f"{self.index:05d}-*"):
            path.unlink()

    def _range(self, part: int) -> range:
        return range(part * self.part_rows, min((part + 1) * self.part_rows, len(self.ids)))

    def _path(self, part: int, kind: str) -> Path:
        start = self._range(part).start
        return self.folder.parts / f"{self.index:05d}-{start:04d}-{self.part_rows:04d}.{kind}.parquet"

    def _save_part(self, part: int) -> None:
        places = self._range(part)
        outcomes = [self.outcomes[place] for place in places]
        done = [outcome for outcome in outcomes if outcome is not None and not isinstance(outcome, Fail)]
        if part in self._saved or len(done) < len(outcomes):
            return
        data, ledger = self._tables(places, done)
        write_table(self._path(part, "data"), data)
        write_table(self._path(part, "ledger"), ledger)
        self._saved.add(part)

    def _load_parts(self) -> None:
        for part in range(-(-len(self.ids) // self.part_rows)):
            if not self._path(part, "ledger").exists():
                continue
            rows = pq.read_table(self._path(part, "data")).to_pylist()
            ledger = pq.read_table(self._path(part, "ledger")).to_pylist()
            for place, entry in zip(self._range(part), ledger, strict=True):
                taken, rows = rows[: entry["rows_out"]], rows[entry["rows_out"] :]
                kept = entry["status"] == "kept"
                self.outcomes[place] = Keep(taken) if kept else Drop(entry["reason"])
                self._left -= 1
            self._saved.add(part)

    def _tables(self, places: range, outcomes: Sequence[Outcome]) -> tuple[pa.Table, pa.Table]:
        """Data and ledger of some places of the shard."""
        kept: list[Row] = []
        ledger = [ledger_row(self.ids[place], outcome) for place, outcome in zip(places, outcomes, strict=True)]
        for place, outcome in zip(places, outcomes, strict=True):
            if isinstance(outcome, Keep) and PLACE in self.schema.names:
                kept.extend({**row, PLACE: self.index * SHARD_ROWS + place} for row in outcome.rows)
            elif isinstance(outcome, Keep):
                kept.extend(outcome.rows)
        name = self.folder.path.name
        return table_of(kept, self.schema, name), table_of(ledger, LEDGER, name)


def write_shard(folder: StageFolder, index: int, data: pa.Table, ledger: pa.Table) -> None:
    """Write one shard and its ledger."""
    write_table(folder.data(index), data)
    write_table(folder.ledger(index), ledger)


def stored_schema(stage: Stage[Any]) -> pa.Schema:
    """What a stage's shards hold: whole rows, those that stay in a file by their place there, or the columns that it
    adds and where they belong."""
    if isinstance(stage, Source) and stage.in_files:
        return pa.schema([*stage.schema, pa.field(FILE, pa.string()), pa.field(ROW, pa.int64())])
    names = ("id", *stage.adds) if isinstance(stage, Map) and stage.adds else ("id",) if isinstance(stage, Sift) else ()
    if not names:
        return stage.schema
    return pa.schema([*(stage.schema.field(name) for name in names), pa.field(PLACE, pa.int64())])


def describe_shards(folder: StageFolder) -> list[Shard]:
    """Name, count and hash every shard on disk, in order."""
    shards = []
    for ledger in sorted(folder.path.glob("ledger-*.parquet")):
        data = folder.data(int(ledger.stem.split("-")[1]))
        shards.append(
            Shard(
                data=data.name,
                ledger=ledger.name,
                rows_in=pq.read_metadata(ledger).num_rows,
                rows_out=pq.read_metadata(data).num_rows,
                sha256=sha256_file(data),
                ledger_sha256=sha256_file(ledger),
            )
        )
    return shards
