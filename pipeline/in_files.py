"""A heavy column that stays in the parquet files that it was read from.

A source whose input holds such a column in the wanted form writes it no second time. The file itself is put into the
stage's folder: a hard link where that is possible, a copy otherwise, so that it is there wherever the store is, also
when the original has gone. The shards say in `FILE` and `ROW` where each value lies (null: in the shard itself), and
`stored` puts both together. Nothing of this shows in the rows.
"""

from __future__ import annotations

import os
import shutil
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contextrl_data.pipeline.hashing import checked_file, describe_file
from contextrl_data.pipeline.manifest import InFiles
from contextrl_data.pipeline.stage import Keep, Outcome, Row
from contextrl_data.pipeline.store import InArrow, StageFolder, disk_error

FILE = "_file"
"""Column of a shard: name of the kept file that holds the row's value, null where the shard does."""
ROW = "_row"
"""Column of a shard: the value's row in that file, from 0."""
LARGEST_GROUP = 128 << 20
"""Bytes of a column in one row group, above which a value costs too much to be read by its place."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value lies."""

    path: Path
    column: str
    row: int


class InFile(InArrow):
    """A value that may stay in the file that it was read from; without a spot it is written as any other."""

    @property
    @abstractmethod
    def spot(self) -> Spot | None:
        """Where the value lies, in the very type that the schema names but for the order of fields."""


def may_stay(file: pq.ParquetFile, column: str) -> bool:
    """Whether every value of a column can be read by its place at a small price."""
    data = file.metadata
    leaves = [n for n in range(data.num_columns) if data.schema.column(n).path.split(".")[0] == column]
    sizes = (
        sum(data.row_group(group).column(leaf).total_uncompressed_size for leaf in leaves)
        for group in range(data.num_row_groups)
    )
    return max(sizes, default=0) <= LARGEST_GROUP


class FileKeeper:
    """Takes the values of one column out of rows that are about to be written, and keeps the files that hold them."""

    def __init__(self, folder: StageFolder, column: str) -> None:
        self.folder, self.column = folder, column
        self._names: dict[Path, tuple[str, str]] = {}

    def away(self, outcome: Outcome) -> Outcome:
        """The same outcome, its rows without what stays in a file."""
        if not self.column or not isinstance(outcome, Keep):
            return outcome
        return Keep([self._away(row) for row in outcome.rows])

    def described(self) -> InFiles | None:
        """What the manifest says of the files; None where there is none."""
        files = [describe_file(self.folder.files / name, column) for name, column in self._names.values()]
        return InFiles(column=self.column, files=files) if files else None

    def _away(self, row: Row) -> Row:
        value = row[self.column]
        spot = value.spot if isinstance(value, InFile) else None
        if spot is None:
            return row
        if spot.path not in self._names:
            name = f"read-{len(self._names):05d}.parquet"
            _put(spot.path, self.folder.files / name)
            self._names[spot.path] = name, spot.column
        return {**row, self.column: None, FILE: self._names[spot.path][0], ROW: spot.row}


def _put(source: Path, target: Path) -> None:
    """Link a file, or copy it."""
    source = source.resolve()  # the Hub's cache holds links
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file of somebody else
        part = target.with_name(target.name + ".part")
        try:
            shutil.copyfile(source, part)
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise disk_error(target, error) from error


class FileColumn:
    """Reads a kept column back. Small and picklable."""

    def __init__(self, folder: Path, found: InFiles, kind: pa.DataType) -> None:
        self.folder, self.column, self.kind = folder, found.column, kind
        self.files = {file.name: file for file in found.files}

    def groups(self, table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
        """For each row of a table with `FILE` and `ROW` a number that the rows of one row group share; -1 for rows whose
        value is in the table itself."""
        names = list(self.files)
        files = pc.fill_null(pc.index_in(table[FILE], pa.array(names, pa.string())), -1).to_numpy()
        rows = pc.fill_null(table[ROW], 0).to_numpy()
        found = np.full(len(rows), -1, np.int64)
        for number in np.unique(files[files >= 0]).tolist():
            starts = _starts(pq.read_metadata(checked_file(self.folder, self.files[names[number]])))
            mine = files == number
            found[mine] = (number << 32) + np.searchsorted(starts, rows[mine], side="right") - 1
        return found

    def filled(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The tables with the column's values, cut where another row group of a file begins."""
        last: tuple[int, pa.Array, int] | None = None
        with _Open(self) as opened:
            for table in tables:
                groups = self.groups(table)
                rows = table[ROW].to_numpy()
                place = table.schema.get_field_index(self.column)
                bare = table.drop_columns([FILE, ROW])
                for low, high in _stretches(groups):
                    part, group = bare.slice(low, high - low), int(groups[low])
                    if group >= 0:
                        if last is None or last[0] != group:
                            last = None  # one at a time in memory
                            last = (group, *opened.values(group))
                        found = _taken(last[1], rows[low:high].astype(np.int64) - last[2])
                        part = part.set_column(place, table.schema.field(place), found)
                    yield part


class _Open:
    """The files of a kept column, open while they are read."""

    def __init__(self, column: FileColumn) -> None:
        self._column = column
        self._open: dict[int, pq.ParquetFile] = {}

    def __enter__(self) -> _Open:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def values(self, number: int) -> tuple[pa.Array, int]:
        """All values of one row group, and the row that it begins at."""
        which, group = number >> 32, number & 0xFFFFFFFF
        entry = list(self._column.files.values())[which]
        if which not in self._open:
            self.__exit__()
            self._open = {which: pq.ParquetFile(checked_file(self._column.folder, entry))}
        file = self._open[which]
        column = file.read_row_group(group, columns=[entry.column])[entry.column]
        values = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
        return _fitted(values, self._column.kind), int(_starts(file.metadata)[group])


def _starts(data: pq.FileMetaData) -> np.ndarray[Any, np.dtype[np.int64]]:
    sizes = [data.row_group(group).num_rows for group in range(data.num_row_groups)]
    return np.cumsum([0, *sizes], dtype=np.int64)[:-1]


def _stretches(groups: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[tuple[int, int]]:
    cuts = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(groups)]
    return ((low, high) for low, high in pairwise(cuts) if low < high)


def _taken(values: pa.Array, places: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Array:
    if len(places) == places[-1] - places[0] + 1:
        return values.slice(int(places[0]), len(places))
    return values.take(pa.array(places))


def _fitted(values: Any, kind: pa.DataType) -> pa.Array:
    """The values with their fields in the order of `kind`."""
    if values.type == kind:
        return values
    if pa.types.is_list(kind):
        starts = values.offsets
        inner = _fitted(values.flatten(), kind.value_type)
        return pa.ListArray.from_arrays(pc.subtract(starts, starts[0]), inner, type=kind)
    fields = [_fitted(values.field(field.name), field.type) for field in kind]
    return pa.StructArray.from_arrays(fields, fields=list(kind))
