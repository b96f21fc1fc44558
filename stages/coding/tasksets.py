"""Read a SWE-style task set, from the Hub or a local file, by its columns and not by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from pydantic import Field

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Drop, Outcome, Row, Source, StageConfig
from contextrl_data.stages.batches import batch_rows
from contextrl_data.stages.coding.tasksets_columns import COLUMNS, REQUIRED, columns_of, task_of
from contextrl_data.stages.lines import LONGEST_LINE, split_lines
from contextrl_data.stages.rows import TASK
from contextrl_data.stages.set_size import set_outlook

SUFFIXES = {".jsonl", ".json", ".parquet"}
LONGEST_ID = 500
"""Characters; ids stand in lists, logs and reports."""
LARGEST_LIST = 1 << 30
"""Bytes of a file that is one JSON list: it is read whole."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that is none: why, and what a person is told where the file begins with it."""

    reason: str
    told: str
    remedy: str = "give one JSON object a line, one for each task"


class TaskSetConfig(StageConfig):
    """Settings of `tasksets`."""

    path: str
    """A local `.jsonl`, `.json` or `.parquet` file, or a dataset on the Hub (`owner/name`)."""
    revision: str = ""
    """Commit of the dataset on the Hub; must be given there, so that the same settings read the same rows."""
    split: str = "train"
    """Split on the Hub."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our name -> the set's column, where the set uses a name that is not known here."""
    image: str = ""
    """Image of a row without an image column; `{instance_id}` is replaced, `{docker_id}` too, which is the
    instance id as image names need it (lower case, `_1776_` for `__`)."""
    workdir: str = "/testbed"
    """Folder of the source in the images."""
    test_command: str = "python -m pytest -rA --tb=no -q -p no:cacheprovider"
    """Runs test files where a row brings no `eval_script` and no command of its own."""
    log_parser: str = "parse_log_pytest"
    """Key of swebench's parsers, where a row names none."""
    licence: str = ""
    """SPDX id, where a row names none."""
    limit: int | None = Field(default=None, ge=1)
    """Read only this many rows."""


class TaskSets(Source[TaskSetConfig]):
    """Rows of a task set -> tasks."""

    name = "tasksets"
    version = 1
    schema = TASK

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Counted where the files are here."""
        return set_outlook(self.config.path, self.config.limit)

    def fingerprint(self) -> str:
        """The file's content, or the revision."""
        path = Path(self.config.path)
        if _is_local(path):
            _check_local(path)
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            return digest.hexdigest()
        if not self.config.revision:
            raise InputError(
                f"the dataset {self.config.path} has no revision",
                "set `revision` to a commit of the dataset, or give a local .jsonl or .parquet file",
            )
        return f"{self.config.path}@{self.config.revision}/{self.config.split}"

    def items(self) -> Iterator[tuple[str, Outcome]]:
        """Every row; ids that come a second time are dropped."""
        self.fingerprint()
        seen: set[str] = set()
        columns: dict[str, str] | None = None
        for number, raw in enumerate(islice(self._rows(), self.config.limit)):
            if isinstance(raw, Bad):
                if columns is None:  # not even the first row: it is no task set
                    raise InputError(raw.told, raw.remedy)
                yield _new(f"row-{number}", number, seen), Drop(raw.reason)
                continue
            if columns is None:
                columns = self._columns(raw)
            known = raw.get(columns["id"])
            identity = str(known) if isinstance(known, str | int) and known else f"row-{number}"
            if len(identity) > LONGEST_ID:
                yield _new(f"row-{number}", number, seen), Drop("id is too long")
            elif identity in seen:
                yield _new(identity, number, seen), Drop("id comes twice")
            else:
                yield _new(identity, number, seen), task_of(raw, columns, self.config)
        if columns is None:
            raise InputError(f"{self.config.path} holds no rows", "give a file or split with tasks in it")

    def _columns(self, raw: Row) -> dict[str, str]:
        unknown = sorted(set(self.config.columns) - COLUMNS.keys())
        if unknown:
            raise InputError(
                f"columns.{unknown[0]} is no field of a task", f"use one of {', '.join(COLUMNS)} on the left"
            )
        columns = columns_of(raw, self.config.columns)
        missing = [name for name in REQUIRED if name not in columns]
        if "image" not in columns and not self.config.image:
            missing.append("image")
        if missing:
            tried = ", ".join(
                [self.config.columns[missing[0]]] if missing[0] in self.config.columns else COLUMNS[missing[0]]
            )
            image = " or set `image` to a pattern" if missing[0] == "image" else ""
            raise InputError(
                f"{self.config.path} has no column for {missing[0]} (looked for {tried})",
                f"set columns.{missing[0]} to one of its columns{image}: {', '.join(sorted(raw))}",
            )
        return columns

    def _rows(self) -> Iterator[Row | Bad]:
        path = Path(self.config.path)
        if not _is_local(path):
            yield from self._hub_rows()
        elif path.suffix == ".parquet":
            yield from _parquet_rows(path)
        else:
            yield from _json_rows(path)

    def _hub_rows(self) -> Iterator[Row]:
        from datasets import load_dataset

        try:
            rows = load_dataset(
                self.config.path,
                split=self.config.split,
                revision=self.config.revision,
                streaming=True,
            )
            yield from map(dict, rows)
        except (OSError, ValueError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise SetupError(
                f"{self.config.path}, split {self.config.split}, cannot be read: {line}",
                "check the name, the split, the revision and the network",
            ) from None


def _is_local(path: Path) -> bool:
    return path.suffix in SUFFIXES or path.exists()


def _check_local(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is no file", "give a .jsonl, .json or .parquet file, or owner/name on the Hub")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} is no task file", "give a .jsonl, .json or .parquet file")


def _new(identity: str, number: int, seen: set[str]) -> str:
    """An id that no row has had; what comes again is told apart by its place."""
    found = identity if identity not in seen else f"{identity}#{number}"
    while found in seen:
        found += "#"
    seen.add(found)
    return found


def _parquet_rows(path: Path) -> Iterator[Row | Bad]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    bad = Bad("row cannot be decoded", f"{path} holds text that is no UTF-8", "mend the file")
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64):
                for row in batch_rows(batch):
                    yield bad if row is None else row
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as parquet: {error}", "give a whole parquet file") from None


def _json_rows(path: Path) -> Iterator[Row | Bad]:
    """One object a line, or one list of objects."""
    with path.open("rb") as file:
        if file.read(64).lstrip()[:1] == b"[":
            yield from _list_rows(path)
            return
        file.seek(0)
        for number, line in enumerate(split_lines(file), 1):
            if line is None:
                told = f"{path}, line {number}, is longer than {LONGEST_LINE} bytes"
                yield Bad("row is too large", told)
            elif line.strip():
                try:
                    yield _mapping(orjson.loads(line), path, number)
                except orjson.JSONDecodeError as error:
                    yield Bad("row is not JSON", f"{path}, line {number}, is no JSON: {error}")


def _list_rows(path: Path) -> Iterator[Row | Bad]:
    if path.stat().st_size > LARGEST_LIST:
        raise InputError(f"{path} is one JSON list of more than {LARGEST_LIST} bytes", "write one object a line")
    try:
        rows = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}, line 1, is no JSON: {error}", "give one JSON object a line") from None
    yield from (_mapping(row, path, number) for number, row in enumerate(rows, 1))


def _mapping(row: Any, path: Path, number: int) -> Row | Bad:
    if isinstance(row, dict):
        return row
    told = f"{path}, row {number}, is {type(row).__name__}, not an object"
    return Bad("row is not a mapping", told, "give one JSON object for each task")
