"""Rows of a finished stage, read back from disk: streamed, by column, by place.

A stage that only adds columns, or only drops rows, writes no row again: its shards hold what is new and, in the column
`PLACE`, which row of the stage below it belongs to. A source may leave a heavy column in the files that it read, see
`in_files`. All are put together here, as they are read.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.in_files import FILE, ROW, FileColumn
from contextrl_data.pipeline.manifest import Manifest
from contextrl_data.pipeline.stage import Row, Rows
from contextrl_data.pipeline.store import PLACE, StageFolder

FEW = 64
"""Rows that are turned into Python at a time."""

Places = npt.NDArray[np.int64]


class StoredRows:
    """The rows of a finished stage. Small and picklable: it holds paths, and reads when asked."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        shards = [shard for shard in manifest.shards if shard.rows_out]
        folder = folder.resolve()  # workers elsewhere may stand in another folder
        self.paths = [folder / shard.data for shard in shards]
        self.counts = [shard.rows_out for shard in shards]
        self.count = manifest.rows_out
        self._folder, self._files = folder, manifest.in_files
        self.below = _below(folder, manifest) if manifest.below else None

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Row]:
        return self.select(None)

    def select(self, columns: list[str] | None) -> Iterator[Row]:
        """Stream the rows, or only some columns of them, a row group at a time."""
        for table in self.tables(columns):
            yield from rows_of(table)

    def at(self, places: Sequence[int]) -> Iterator[Row]:
        """The rows at these places, counted from 0, in ascending order."""
        for table in self.tables(None, np.asarray(places, np.int64)):
            yield from rows_of(table)

    def tables(self, columns: list[str] | None = None, places: Places | None = None) -> Iterator[pa.Table]:
        """The same rows as Arrow tables, each from one row group; only those at `places` where these are given."""
        own = self._own_columns
        taken = None if columns is None else [name for name in own if name in columns]
        if self.below is None:
            yield from self._own(taken, places)
            return
        lower = [name for name in self.below.columns if name != "id" and (columns is None or name in columns)]
        if not lower:
            yield from self._own(own if taken is None else taken, places)
            return
        order = [name for name in self.columns if columns is None or name in columns]
        upper = [name for name in own if name in order]
        for window in self._windows(places):
            table = _joined(self._own([*upper, PLACE], window))
            done = 0
            for part in self.below.tables(lower, table[PLACE].to_numpy()):
                beside = table.slice(done, part.num_rows)
                done += part.num_rows
                yield pa.table({name: _either(name, beside, part) for name in order})

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Stream these columns as Arrow batches."""
        for table in self.tables(columns):
            yield from table.to_batches()

    @cached_property
    def columns(self) -> list[str]:
        """Names of all columns: those of the stage below first, in their order."""
        own = [name for name in self._own_columns if name != PLACE]
        below = self.below.columns if self.below is not None else []
        return [*below, *(name for name in own if name not in below)]

    def ends(self) -> list[int]:
        """Where the stretches end that are read at one go: rows of one row group."""
        if self.below is None:
            return self._own_ends()
        if not self.count:
            return []
        places = np.concatenate([table[PLACE].to_numpy() for table in self._own([PLACE], None)])
        groups = np.searchsorted(np.asarray(self.below.ends()), places, side="right")
        return [*(np.flatnonzero(np.diff(groups)) + 1).tolist(), self.count]

    @cached_property
    def _own_columns(self) -> list[str]:
        names = pq.read_schema(self.paths[0]).names if self.paths else []
        return [name for name in names if name not in (FILE, ROW)]

    @property
    def in_pieces(self) -> bool:
        """Whether a stretch between two ends costs no more when it is read in pieces: rows of a kept file do."""
        return self._files is None if self.below is None else self.below.in_pieces

    @cached_property
    def _in_files(self) -> FileColumn | None:
        if self._files is None or not self.paths:
            return None
        return FileColumn(self._folder, self._files, pq.read_schema(self.paths[0]).field(self._files.column).type)

    def _own_ends(self) -> list[int]:
        sizes = [size for path in self.paths for size in _group_sizes(path)]
        ends: list[int] = np.cumsum(sizes).tolist() if sizes else []
        if self._in_files is None:
            return ends
        groups = np.concatenate([self._in_files.groups(table) for table in self._raw([FILE, ROW], None)])
        cuts = (np.flatnonzero(np.diff(groups)) + 1).tolist()
        return sorted({*cuts, *(end for end in ends if groups[end - 1] < 0), self.count})

    def _windows(self, places: Places | None) -> Iterator[Places]:
        """The wanted places, a shard at a time."""
        start = 0
        for count in self.counts:
            if places is None:
                yield np.arange(start, start + count)
            else:
                low, high = np.searchsorted(places, [start, start + count])
                if low < high:
                    yield places[low:high]
            start += count

    def _own(self, columns: list[str] | None, places: Places | None) -> Iterator[pa.Table]:
        names = self._own_columns if columns is None else columns
        if self._in_files is None or self._in_files.column not in names:
            yield from self._raw(names, places)
        else:
            yield from self._in_files.filled(self._raw([*names, FILE, ROW], places))

    def _raw(self, columns: list[str], places: Places | None) -> Iterator[pa.Table]:
        start = 0
        for path, count in zip(self.paths, self.counts, strict=True):
            if places is None or np.searchsorted(places, start) < np.searchsorted(places, start + count):
                with pq.ParquetFile(path) as file:
                    yield from _groups(file, columns, None if places is None else places - start)
            start += count


def _groups(file: pq.ParquetFile, columns: list[str], places: Places | None) -> Iterator[pa.Table]:
    start = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if places is None:
            yield file.read_row_group(group, columns)
        else:
            low, high = np.searchsorted(places, [start, start + size])
            if low < high:
                table = file.read_row_group(group, columns)
                yield table if high - low == size else table.take(places[low:high] - start)
        start += size


def _group_sizes(path: Path) -> list[int]:
    data = pq.read_metadata(path)
    return [data.row_group(group).num_rows for group in range(data.num_row_groups)]


def _either(name: str, own: pa.Table, below: pa.Table) -> pa.ChunkedArray:
    """A column as the stage left it: where it has no value of its own, the one below stands."""
    if name not in own.column_names or name not in below.column_names:
        return (own if name in own.column_names else below)[name]
    given, other = own[name], below[name]
    if given.null_count in (0, len(given)):
        return other if given.null_count else given
    both = pa.concat_arrays([*given.chunks, *other.chunks])
    places = np.arange(len(given))
    missing = given.is_null().to_numpy()
    return pa.chunked_array([both.take(pa.array(np.where(missing, places + len(given), places)))])


def _joined(tables: Iterator[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).combine_chunks()


def _below(folder: Path, manifest: Manifest) -> StoredRows:
    """The rows that a stage's shards add to, or choose from."""
    assert manifest.below is not None
    name, digest = manifest.below
    path = folder.parent / name
    found = StageFolder(path).manifest()
    if found is None or found.digest != digest:
        gone = "is missing" if found is None else "holds other rows by now"
        raise StoreError(f"{path} {gone}, and {folder.name} builds upon it: run the build again")
    return StoredRows(path, found)


def rows_of(table: pa.Table) -> Iterator[Row]:
    """The rows of a table; heavy ones may be many, and are in Python a few at a time."""
    for start in range(0, table.num_rows, FEW):
        yield from table.slice(start, FEW).to_pylist()


def picked(rows: Rows, ids: Collection[str]) -> Iterator[Row]:
    """The rows with these ids, in order; of a stored stage nothing else is decoded."""
    wanted = set(ids)
    if not isinstance(rows, StoredRows):
        yield from (row for row in rows if row["id"] in wanted)
        return
    yield from rows.at(places_of(rows, wanted)[0])


def places_of(rows: StoredRows, ids: Container[str]) -> tuple[list[int], list[str]]:
    """Where the rows with these ids are, in order, and their ids."""
    found = [(place, row["id"]) for place, row in enumerate(rows.select(["id"])) if row["id"] in ids]
    return [place for place, _ in found], [one for _, one in found]


def added(row: Row, given: Row, columns: Sequence[str]) -> dict[str, Any]:
    """What is stored of a row that `given` became, by a stage that adds these columns: nothing of what it left alone."""
    found = {name: None if name in given and row[name] is given[name] else row[name] for name in columns}
    for name in columns:
        if found[name] is None and row[name] is not given.get(name):
            raise TypeError(f"a stage that adds columns emptied {name}")
    return {"id": row["id"], **found}
