"""A stage: name, version, its own frozen config, and one verb over rows.

Four shapes cover the pipeline, and a row never vanishes in any of them:

- `Source` yields `(id, outcome)` for every item that it finds;
- `Map`    turns one row into an outcome, and sees no other row;
- `Sift`   sees a few columns of all rows, and drops some of them;
- `Gather` sees all rows at once (grouping, selecting, exporting) and says which of them it did not use.

An outcome is `Keep` (with the rows that come out), `Drop` (with a reason) or `Fail` (with the boundary charged).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from contextrl_data.pipeline.outlook import Outlook

Row: TypeAlias = dict[str, Any]
"""One row. Every row has a string `id`, unique within its stage."""


@dataclass(frozen=True, slots=True)
class Keep:
    """The row goes on, as one or more rows. What it took to get them is told elsewhere, see `calls`."""

    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Drop:
    """The row ends here, on purpose. `reason` is a short fixed phrase: it is counted, so it holds no values."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The row could not be processed. `boundary` names what failed (`docker`, `model`, ...); retried on the next run."""

    boundary: str
    message: str


Outcome: TypeAlias = Keep | Drop | Fail


class StageConfig(BaseModel):
    """Base of every stage's own settings: frozen, no unknown keys, one doc string under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Rows(Protocol):
    """Rows of a finished stage: re-iterable, streamed, in a fixed order."""

    def __iter__(self) -> Iterator[Row]: ...

    def __len__(self) -> int: ...

    def select(self, columns: list[str]) -> Iterator[Row]:
        """Stream only these columns, in the same order."""
        ...

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Stream these columns as Arrow batches, for stages that compute on whole columns."""
        ...


class Tell(Protocol):
    """Says how far a step inside a stage is, for the eyes of a person; may be called as often as one likes."""

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """`done` of `total` things (None: not known) of a kind: `tell("pictures", 300, 5000)`."""
        ...


def silent(what: str, done: int, total: int | None = None) -> None:
    """Where nobody watches."""


@dataclass(frozen=True)
class Context:
    """What a stage may know of its surroundings. Nothing here may change the rows that it returns."""

    folder: Path
    """The stage's own folder; `folder / "files"` is for what a stage makes beside its rows."""
    sides: Mapping[str, Rows] = field(default_factory=dict)
    """The rows of the stages named beside the main input."""
    workers: int = 1
    """How many workers share this stage."""
    run_id: str = ""
    """Labels outside resources (containers), so that they can be found and removed."""
    tell: Tell = field(default=silent, compare=False)
    """How a `Gather` or `Sift` says how far it is: see `Tell`."""


C = TypeVar("C", bound=StageConfig)


class Stage(ABC, Generic[C]):
    """Base of the three shapes. `schema` is the Arrow schema of the rows that come out."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Bump by hand whenever the same input and config would give other rows."""
    schema: ClassVar[pa.Schema]

    def __init__(self, config: C) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Identity of what the stage reads from outside the pipeline (a file's hash, a revision); part of the key."""
        return ""

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """What so many input rows would take and give, told from the config alone: `build --plan` adds what was
        measured. `sides` are the rows of the side inputs."""
        return Outlook(most=rows)

    def restore(self, rows: Rows) -> None:
        """Called when the stage is found finished and a later one with `work = "thread"` is not: bring back what lies
        outside the store, such as images that were removed since. Must leave the rows true."""

    def open(self, context: Context) -> None:
        """Called once in every worker before the first row."""
        self.context = context

    def close(self) -> None:
        """Called once in every worker after the last row, also after an error."""

    @property
    def workers(self) -> int:
        """How many workers share this stage; 1 where it is not opened by a runner."""
        return self.context.workers if hasattr(self, "context") else 1

    def tell(self, what: str, done: int, total: int | None = None) -> None:
        """See `Tell`; nobody hears it where the stage is not opened by a runner."""
        if (context := getattr(self, "context", None)) is not None:
            context.tell(what, done, total)


class Source(Stage[C]):
    """A stage without input rows."""

    in_files: ClassVar[str] = ""
    """A column whose values may stay in the parquet files that they were read from, as `in_files.InFile`."""

    @abstractmethod
    def items(self) -> Iterator[tuple[str, Outcome]]:
        """Yield an id and an outcome for everything found, the unusable too, in a fixed order."""


class Map(Stage[C]):
    """One row in, one outcome out."""

    work: ClassVar[Literal["thread", "process"]] = "process"
    """`thread` for stages that wait (Docker, HTTP), `process` for stages that compute."""
    dear: ClassVar[bool] = False
    """A dear row (a rollout, a chat call) is journalled as soon as it is done, and never done twice."""
    adds: ClassVar[tuple[str, ...]] = ()
    """Where a kept row comes out once, with its id, and only these columns are new or changed: then nothing else is
    written again, nor a value of them that is the input row's own. None is emptied. Empty: whole rows are written."""

    def is_dear(self, sides: Collection[str]) -> bool:
        """Whether rows are journalled where these side inputs are there."""
        return self.dear

    def takes(self) -> Mapping[str, float]:
        """What one worker takes of its node beside a core, by the names that Ray clusters use: `GPU`, `docker`."""
        return {}

    @abstractmethod
    def process(self, row: Row) -> Outcome:
        """Judge one row. Raise `RowFailure` for a fault of the surroundings, `UserError` for a bad set-up."""


@dataclass
class Sifted:
    """What a `Sift` returns: the rows that it drops. All others go on, unchanged and in order."""

    dropped: dict[str, str]
    """Input id -> reason."""
    funnel: list[tuple[str, int]] = field(default_factory=list)
    """Named survivor counts, in order, for the report."""
    notes: dict[str, Any] = field(default_factory=dict)


class Sift(Stage[C]):
    """All rows in, seen by a few light columns; some of them out, and none written again."""

    columns: ClassVar[tuple[str, ...]]
    """What it looks at; `id` among them."""

    @abstractmethod
    def sift(self, rows: Iterator[Row]) -> Sifted:
        """See every input row once, in order."""


@dataclass
class Gathered:
    """What a `Gather` returns."""

    rows: Iterable[Row]
    """The rows that come out; may be a generator."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Input id -> reason, for every input row that nothing came of. Filled before `rows` is exhausted."""
    failed: dict[str, Fail] = field(default_factory=dict)
    funnel: list[tuple[str, int]] = field(default_factory=list)
    """Named survivor counts inside the stage, in order, for the report."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Anything worth showing that is small and JSON: scores, intervals, costs of a selection."""


class Gather(Stage[C]):
    """All rows in, any number out."""

    @abstractmethod
    def gather(self, rows: Rows) -> Gathered:
        """See every input row; name each that was not used in `Gathered.dropped`."""


def seed_of(base: int, row_id: str, *more: object) -> int:
    """A 63-bit seed from the row's id, never from its place: the same in any order, on any worker."""
    text = "\0".join([str(base), row_id, *map(str, more)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
