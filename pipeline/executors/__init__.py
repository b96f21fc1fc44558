"""Where rows are processed. Executors know nothing of the work: they move batches to workers and outcomes back."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from contextrl_data.pipeline.errors import ContextRLError, RowFailure
from contextrl_data.pipeline.stage import Context, Drop, Fail, Keep, Map, Outcome, Row
from contextrl_data.pipeline.stored import StoredRows, added

PAUSE = 0.5
"""Seconds before a failed row is tried again; doubles each time."""


@dataclass(frozen=True, slots=True)
class Places:
    """Rows by their places in the stage's input: a worker reads them where it is."""

    places: tuple[int, ...]


Batch = tuple[int, list[Row] | Places]
"""A number that comes back with the outcomes, and the rows to process."""


@dataclass
class Job:
    """One stage with its context, ready to travel to a worker."""

    stage: Map[Any]
    context: Context
    retries: int = 0
    main: StoredRows | None = None
    """The stage's input, for batches that name their rows by place."""

    def run(self, batch: list[Row] | Places) -> list[Outcome]:
        """Process rows one by one: a bad row is data, a bad set-up is an exception."""
        return [self._with_retries(row) for row in self.rows(batch)]

    def rows(self, batch: list[Row] | Places) -> Iterable[Row]:
        """The rows of a batch, read here where it names only their places."""
        if isinstance(batch, Places):
            assert self.main is not None
            return self.main.at(batch.places)
        return batch

    def _with_retries(self, row: Row) -> Outcome:
        for attempt in range(self.retries + 1):
            outcome = self._one(row)
            if not isinstance(outcome, Fail) or outcome.boundary == "internal":
                break
            if attempt < self.retries:
                time.sleep(PAUSE * 2**attempt)
        return outcome

    def _one(self, row: Row) -> Outcome:
        try:
            outcome = self.stage.process(row)
            if not isinstance(outcome, Keep | Drop | Fail):
                raise TypeError(f"{outcome!r} is no outcome")
            if isinstance(outcome, Keep) and self.stage.adds:
                if [one["id"] for one in outcome.rows] != [row["id"]]:
                    raise TypeError("a stage that adds columns kept something else than the row itself")
                return Keep([added(outcome.rows[0], row, self.stage.adds)])
            return outcome
        except RowFailure as failure:
            return Fail(failure.boundary, failure.message)
        except ContextRLError:
            raise
        except Exception as error:  # a defect in the stage: charged to this row, and the run ends with exit code 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Fail("internal", f"{type(error).__name__}: {error} (at {where.name}, line {where.lineno})")


class Executor(Protocol):
    """The one signature that every executor has."""

    def workers(self, stage: Map[Any]) -> int:
        """How many workers a stage gets where nothing else is set."""
        ...

    def run(self, job: Job, batches: Iterator[Batch], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
        """Yield `(number, outcomes)` for every batch, in any order; raise what a worker raises."""
        ...
