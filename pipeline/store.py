"""Where rows lie: one folder per stage and key.

    data/runs/<stage>-<key>/
      data-00000.parquet     rows that came out; shard n holds what came of input rows [n*1000, (n+1)*1000)
      ledger-00000.parquet   what became of each of those input rows: kept, dropped (reason) or failed (boundary)
      parts/                 finished pieces of a shard that is not complete yet
      journal.jsonl          outcomes of dear rows, appended as soon as each is done
      files/                 what a stage makes beside its rows, or keeps of what it read, see `in_files`
      calls/                 one line per call of a model: what it used and took, see `calls`
      manifest.json          written last: counts, hashes of every shard, config, inputs, git commit

Every file is written under another name and renamed, so a reader never sees half a file. Shard borders depend on the
input alone, so the bytes are the same for any number of workers, size of parts or number of kills.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import SetupError, StoreError
from contextrl_data.pipeline.hashing import checked_file, sha256_file
from contextrl_data.pipeline.manifest import Manifest
from contextrl_data.pipeline.stage import Drop, Fail, Keep, Outcome, Row

SHARD_ROWS = 1000
"""Input rows per shard. Part of the format: changing it changes every file."""

GROUP_BYTES = 4 << 20
"""Size of a row group in memory that files are cut for: what a worker takes at a time."""
PLACE = "_place"
"""Column of a stage that writes no row again: the row's place among the rows of the stage below, from 0."""

LEDGER = pa.schema(
    [
        ("id", pa.string()),
        ("status", pa.string()),  # kept | dropped | failed
        ("reason", pa.string()),  # of a drop; the boundary of a failure
        ("message", pa.string()),  # of a failure
        ("rows_out", pa.int32()),
    ]
)


def write_atomic(path: Path, data: bytes) -> None:
    """Write bytes under another name, flush to disk, rename."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def write_shared(path: Path, data: bytes) -> None:
    """Write a file that other threads and processes may be writing too: each its own part, and the last rename wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def disk_error(path: Path, error: OSError) -> SetupError:
    """Turn a failed write into one line with the remedy."""
    return SetupError(
        f"cannot write {path}: {error.strerror or error}",
        "free space or permissions there, or put the runs elsewhere with --set run.root=FOLDER; the run resumes",
    )


def write_table(path: Path, table: pa.Table) -> None:
    """Write one zstd parquet file, atomically, with bytes that depend on the table alone."""
    part = path.with_name(path.name + ".part")
    try:
        pq.write_table(table, part, compression="zstd", row_group_size=group_rows(table))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def group_rows(table: pa.Table) -> int:
    """Rows of a row group: 16 to 1,024, a power of two, so that light rows lie together and heavy ones are read apart."""
    rows = int(GROUP_BYTES * max(table.num_rows, 1) // max(table.nbytes, 1))
    return 1 << min(max(rows.bit_length() - 1, 4), 10)


class InArrow(ABC):
    """A value of a row that is in Arrow already, and goes to the table without a detour through Python."""

    @abstractmethod
    def arrow(self) -> pa.Array:
        """The value as an array of one element, of the type that the schema names."""


def table_of(rows: list[Row], schema: pa.Schema, stage: str) -> pa.Table:
    """Rows as a table of exactly this schema.

    Raises:
        StoreError: a row has an unknown column or a value that does not fit (a bug in the stage).
    """
    names = set(schema.names)
    for row in rows:
        if unknown := row.keys() - names:
            raise StoreError(f"{stage}: row {row.get('id')!r} has columns outside its schema: {sorted(unknown)}")
    try:
        return pa.Table.from_arrays([_column(rows, field) for field in schema], schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
        raise StoreError(f"{stage}: a row does not fit the schema: {error}") from error


def _column(rows: list[Row], field: pa.Field) -> pa.Array:
    values = [row.get(field.name) for row in rows]
    if not pa.types.is_nested(field.type) or not any(isinstance(value, InArrow) for value in values):
        return pa.array(values, type=field.type)
    parts = [value.arrow() if isinstance(value, InArrow) else pa.array([value], type=field.type) for value in values]
    return pa.concat_arrays(parts)


def ledger_row(row_id: str, outcome: Outcome) -> Row:
    """One line of the ledger."""
    match outcome:
        case Keep(rows=rows):
            return {"id": row_id, "status": "kept", "reason": "", "message": "", "rows_out": len(rows)}
        case Drop(reason=reason):
            return {"id": row_id, "status": "dropped", "reason": reason, "message": "", "rows_out": 0}
        case Fail(boundary=boundary, message=message):
            return {"id": row_id, "status": "failed", "reason": boundary, "message": message, "rows_out": 0}


class StageFolder:
    """One stage's folder on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = path / "files"
        self.parts = path / "parts"
        self.journal = path / "journal.jsonl"
        self.calls = path / "calls"
        self._manifest = path / "manifest.json"

    def create(self) -> None:
        """Make the folder, and clear away half-written files of an earlier process."""
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
            self.files.mkdir(exist_ok=True)
            for stale in [*self.path.glob("*.part"), *self.parts.glob("*.part")]:
                stale.unlink()
        except OSError as error:
            raise disk_error(self.path, error) from error

    def data(self, index: int) -> Path:
        """Path of data shard `index`."""
        return self.path / f"data-{index:05d}.parquet"

    def ledger(self, index: int) -> Path:
        """Path of the ledger of shard `index`."""
        return self.path / f"ledger-{index:05d}.parquet"

    def manifest(self) -> Manifest | None:
        """The manifest, or None where the stage has not finished."""
        if not self._manifest.exists():
            return None
        try:
            return Manifest.model_validate_json(self._manifest.read_bytes())
        except ValueError as error:
            raise StoreError(f"{self._manifest} cannot be read: {error}") from error

    def finish(self, manifest: Manifest) -> None:
        """Check the counts and the presence of every shard, then write the manifest."""
        manifest.check_counts()
        self.verify(manifest)
        shutil.rmtree(self.parts, ignore_errors=True)
        write_atomic(self._manifest, orjson.dumps(manifest.model_dump(), option=orjson.OPT_INDENT_2))

    def verify(self, manifest: Manifest) -> None:
        """Raise `StoreError` where a file that the manifest names is missing or holds other bytes."""
        for shard in manifest.shards:
            for name, expected in ((shard.data, shard.sha256), (shard.ledger, shard.ledger_sha256)):
                path = self.path / name
                if not path.exists():
                    raise StoreError(f"{path} is missing though the manifest names it")
                if sha256_file(path) != expected:
                    raise StoreError(f"{path} does not hold the bytes that the manifest names")
        for file in manifest.in_files.files if manifest.in_files is not None else ():
            checked_file(self.path, file)

    def reopen(self) -> None:
        """Forget the manifest and the shards whose ledger has failures; finished dear rows stay in the journal."""
        self._manifest.unlink(missing_ok=True)
        self.create()
        for path in sorted(self.path.glob("ledger-*.parquet")):
            if "failed" in pq.read_table(path, columns=["status"]).column("status").to_pylist():
                path.unlink()

    def clear(self) -> None:
        """Forget the rows (their input changed); the journal stays, since it is keyed by what each row holds, and
        so do the calls, which are paid."""
        self._manifest.unlink(missing_ok=True)
        for path in [*self.path.glob("data-*.parquet"), *self.path.glob("ledger-*.parquet")]:
            path.unlink()
        shutil.rmtree(self.parts, ignore_errors=True)
        shutil.rmtree(self.files, ignore_errors=True)
        self.create()


def count_ledger(folder: StageFolder) -> Counter[tuple[str, str]]:
    """Input rows by (status, reason), read back from the ledgers on disk."""
    counts: Counter[tuple[str, str]] = Counter()
    for path in sorted(folder.path.glob("ledger-*.parquet")):
        table = pq.read_table(path, columns=["status", "reason"])
        counts.update(zip(table.column("status").to_pylist(), table.column("reason").to_pylist(), strict=True))
    return counts


def first_failure(folder: StageFolder) -> tuple[str, str]:
    """The id of the first input row that failed, and what it failed of; two empty texts where none did."""
    for path in sorted(folder.path.glob("ledger-*.parquet")):
        for row in pq.read_table(path, filters=[("status", "=", "failed")]).to_pylist():
            return row["id"], row["message"]
    return "", ""
