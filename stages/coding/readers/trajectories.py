"""The source stage that reads existing trajectories: published sets, or a user's own runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

from pydantic import Field

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.hashing import sha256_known
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Drop, Fail, Keep, Outcome, Row, Source, StageConfig
from contextrl_data.stages.coding.decontaminate import Benchmarks, DecontaminateConfig
from contextrl_data.stages.coding.readers.checks import checked_patch, edits, said_by_agent
from contextrl_data.stages.coding.readers.detect import Format, FormatName, detect, named
from contextrl_data.stages.coding.readers.found import Found, Unusable
from contextrl_data.stages.coding.readers.hub import HubFiles
from contextrl_data.stages.coding.readers.identity import problem_statement, split_instance
from contextrl_data.stages.coding.readers.rawfiles import RUNS, Raw, raw_rows, stem
from contextrl_data.stages.coding.readers.tasks import Task, TasksConfig, files_of, load_tasks
from contextrl_data.stages.coding.readers.unique import Names, digest
from contextrl_data.stages.rows import TRAJECTORY
from contextrl_data.stages.set_size import set_outlook

PEEK = 20
"""Rows that are looked at before a file is called one of another kind."""
LICENCES = {
    "kwai-klear/swe-smith-mini_swe_agent_plus-trajectories-66k": "MIT",
    "swe-bench/swe-smith-trajectories": "MIT",
    "nebius/swe-agent-trajectories": "CC-BY-4.0",
    "nebius/swe-rebench-openhands-trajectories": "CC-BY-4.0",
}
"""As the data sets' own cards state them."""


class TrajectoriesConfig(StageConfig):
    """Where trajectories come from and how they are read."""

    path: str
    """File, folder, or name of a data set on the Hub."""
    revision: str | None = None
    """Branch, tag or commit on the Hub; whatever it names is pinned to the commit that it points at."""
    split: str | None = None
    """Split on the Hub; all files without it (runs that stand in several splits are read once)."""
    format: FormatName = "auto"
    """`auto` looks at each row's columns."""
    columns: dict[str, str] = Field(default={})
    """Column of the source for a field of the normal form, where the names differ: `messages: conversation`."""
    limit: int | None = Field(default=None, ge=1)
    """Read only so many rows."""
    tasks: TasksConfig | None = None
    """Task set that gives the patch of runs that have none of their own."""
    model: str = ""
    """Model of all runs, where the source does not say."""
    source: str = ""
    """Name of the source in every row; the data set's or the file's own name without it."""
    licence: str = ""
    """SPDX id of the source's licence; of well-known sets it is known."""
    max_chars: int = Field(default=20_000_000, ge=1)
    """A run with more text is dropped."""
    max_row_bytes: int = Field(default=100_000_000, ge=1)
    """A line or file of more bytes is dropped unread."""
    benchmarks: DecontaminateConfig = DecontaminateConfig()
    """Benchmark instances are refused as they are read."""


class Trajectories(Source[TrajectoriesConfig]):
    """Files or a Hub data set -> TRAJECTORY."""

    name = "trajectories"
    version = 3
    schema = TRAJECTORY
    in_files = "messages"
    _known = ""
    """Identity of what is read, as the key has it."""

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Counted where the files are here."""
        return set_outlook(self.config.path, self.config.limit)

    def fingerprint(self) -> str:
        """Content of every local file, or the commit on the Hub; of the task set and the id lists too."""
        config = self.config
        self._known = _identity(config.path, config.revision, config.split)
        parts = [self._known, Benchmarks(config.benchmarks).fingerprint()]
        if config.tasks is not None:
            parts.append(_identity(config.tasks.path, config.tasks.revision, config.tasks.split))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def items(self) -> Iterator[tuple[str, Outcome]]:
        """Every raw row once, in the order of the files."""
        config = self.config
        tasks = load_tasks(config.tasks, config.max_row_bytes) if config.tasks else {}
        normal = Normal(config, tasks)
        for place, raw, name in islice(self._raw(), config.limit):
            if isinstance(raw, Unusable):
                yield place, Drop(raw.reason)
            else:
                yield normal.outcome(place, raw, name)
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        """The rows must be those of the files that the key names; the Hub's have a commit."""
        path = self.config.path
        if self._known and Path(path).expanduser().exists() and _identity(path, None, None) != self._known:
            raise InputError(f"{path} was written to while it was read", "run the build again when it is whole")

    def _raw(self) -> Iterator[tuple[str, Row | Unusable, str]]:
        config = self.config
        alone = Path(config.path).expanduser().is_file()
        for path, name in files_of(config.path, config.revision, config.split):
            hint = stem(path) if path.name.endswith(RUNS) else ""
            column = config.columns.get("messages", "messages")
            # Of a few rows the messages are written: that takes less than a copy of the whole file may.
            rows = raw_rows(path, name, alone, config.max_row_bytes, column, stay=config.limit is None)
            first = list(islice(rows, PEEK))
            if not path.name.endswith(RUNS) or alone:
                self._check_kind(path, first)
            for place, raw in chain(first, rows):
                yield place, raw, hint

    def _check_kind(self, path: Path, first: list[Raw]) -> None:
        """A file of which no early row can be anything is of the wrong kind; a damaged row among others is data."""
        sound = [raw for _, raw in first if not isinstance(raw, Unusable)]
        if sound and any(format_of(raw, self.config) for raw in sound):
            return
        if sound:
            seen = ", ".join(list(sound[0])[:12])
            raise InputError(
                f"{path}: no known trajectory format has these columns: {seen}",
                "name the column of messages: --set trajectories.columns.messages=COLUMN",
            )
        if first and all(isinstance(raw, Unusable) and raw.reason == "row is not JSON" for _, raw in first):
            raise InputError(f"{path} is not JSON lines", "check the file, or its ending")


class Normal:
    """Raw rows into trajectories; remembers ids, and nothing else of a row."""

    def __init__(self, config: TrajectoriesConfig, tasks: dict[str, Task]) -> None:
        self.config, self.tasks = config, tasks
        self._names = Names()
        self._benchmarks = Benchmarks(config.benchmarks)
        self._formats: dict[tuple[str, ...], Format | None] = {}
        self._source = config.source or (
            Path(config.path).name if Path(config.path).expanduser().exists() else config.path
        )
        self._licence = config.licence or LICENCES.get(config.path.lower(), "")

    def outcome(self, place: str, raw: Row, hint: str) -> tuple[str, Outcome]:
        """The id (the place, where the row has none) and what becomes of one raw row."""
        try:
            found, kind = self._read(raw)
            row = self._row(found, hint)
            name = self._names.unique(row, digest(row["messages"], row["patch"]), found.traj_id, kind)
        except Unusable as fault:
            return place, Drop(fault.reason)
        except Exception as error:  # a reader's defect is charged to the row that shows it: the others are read
            return place, Fail("reader", f"{place}: {type(error).__name__}: {error}"[:300])
        row["id"] = name
        outcome = self._benchmarks.judge(row)
        return (name if isinstance(outcome, Keep) else place), outcome

    def _read(self, raw: Row) -> tuple[Found, str]:
        if self.config.columns:
            raw = renamed(raw, self.config.columns)
        columns = tuple(raw)
        if columns not in self._formats:
            if len(self._formats) > 1000:  # rows of a damaged file may each have their own columns
                self._formats.clear()
            self._formats[columns] = format_of(raw, self.config)
        form = self._formats[columns]
        if form is None:
            raise Unusable("columns of no known format")
        return form.read(raw, self.config.max_chars), form.name

    def _row(self, found: Found, hint: str) -> Row:
        given = found.instance_id or hint
        instance_id, repo, commit, attempt = split_instance(given)
        repo, commit = found.repo or repo, found.commit or commit
        statement = found.problem_statement
        said = said_by_agent(found.messages)
        patch = checked_patch(found.patch, found.messages, said, found.resolved)
        task = self.tasks.get(given) if patch is None else None
        if task is not None:
            patch = checked_patch(task.patch, found.messages, said, None)
            statement, repo, commit = statement or task.problem_statement, repo or task.repo, commit or task.commit
        if not instance_id and not repo:
            raise Unusable("no instance id")
        if not edits(said):
            raise Unusable("messages never edit")
        resolved = found.resolved
        return {
            "id": "",
            "instance_id": instance_id,
            "repo": repo,
            "commit": commit,
            "problem_statement": statement or problem_statement(found.messages),
            "messages": found.messages,
            "patch": patch,
            "resolved": resolved,
            "status": None if resolved is None else "resolved" if resolved else "unresolved",
            "exit_status": found.exit_status,
            "model": found.model or self.config.model,
            "attempt": attempt if found.attempt is None else found.attempt,
            "source": self.config.source or found.source or self._source,
            "licence": self.config.licence or found.licence or self._licence,
        }


def renamed(raw: Row, columns: dict[str, str]) -> Row:
    """The row with the fields that the config maps; the source's own column of that name gives way."""
    taken = set(columns.values())
    kept = {name: value for name, value in raw.items() if name not in taken}
    return kept | {field: raw[column] for field, column in columns.items() if column in raw}


def format_of(raw: Row, config: TrajectoriesConfig) -> Format | None:
    """The format that the config names, else the one that the columns show."""
    return named(config.format) if config.format != "auto" else detect(frozenset(renamed(raw, config.columns)))


def _identity(path: str, revision: str | None, split: str | None) -> str:
    if not Path(path).expanduser().exists():
        return HubFiles(path, revision, split).commit()
    parts = [f"{name} {sha256_known(file)}" for file, name in files_of(path, None, None)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
