"""Actors that take batches, and what happens when one dies.

A worker that dies (a lost node, a kill, a node without memory) gives its batch to another; a batch that has cost three
workers their lives stops the run, since something in its rows kills.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import ContextRLError, SetupError, first_line
from contextrl_data.pipeline.executors import Batch, Job, Places
from contextrl_data.pipeline.executors.ray_home import Home
from contextrl_data.pipeline.stage import Outcome, Row

LIVES = 3
"""Workers that one batch may cost."""
STARTS = 10
"""Workers in a row that may die before they have opened their stage."""
DEPTH = 2
"""Batches that one worker has: one in work, one waiting, so that it never idles."""
LAST_SECONDS = 10
"""For workers of this machine to be gone once they were told to."""


class _Worker:
    """Lives in an actor."""

    def __init__(self, job: Job, home: Home) -> None:
        self.job, self.home = job, home

    def open(self) -> tuple[str, int]:
        """Where it is, and its process."""
        self.home.enter(self.job)
        self.job.stage.open(self.job.context)
        return platform.node(), os.getpid()

    def run(self, batch: list[Row] | Places) -> list[Outcome]:
        return self.job.run(batch)

    def close(self) -> None:
        self.job.stage.close()


@dataclass(frozen=True)
class _Flight:
    """A batch that an actor has."""

    actor: Any
    batch: Batch
    spent: int
    """Workers that it has cost already."""


@dataclass(frozen=True)
class _Dead:
    """What a call to a worker gives that is no more."""

    why: str


class Pool:
    """Actors that come and go; each has one batch in work and one waiting.

    An actor gets work when it has opened its stage: one that no node has room for holds nothing up.
    """

    def __init__(self, ray: Any, job: Job, options: dict[str, Any], workers: int, patience: float) -> None:
        self.ray = ray
        self._new = ray.remote(_Worker).options(**options).remote
        self._job, self._home = ray.put(job), Home.of(job)
        self._rows = job.rows
        self._name = job.stage.name
        self._patience = patience
        self._ready: list[Any] = []
        self._coming: dict[Any, Any] = {}  # reference of its opening -> actor
        self._flying: dict[Any, _Flight] = {}
        self._blamed: set[Any] = set()  # references of batches that were in work when their actor died
        self._processes: list[tuple[str, int]] = []
        self._stillborn = 0
        for _ in range(workers):
            self._start()

    def drain(self, first: Batch, rest: Iterator[Batch]) -> Iterator[tuple[int, list[Outcome]]]:
        """Every batch's outcomes, in the order in which they come."""
        again: list[tuple[Batch, int]] = [(first, 0)]
        while True:
            for actor in self._free():
                batch, spent = again.pop() if again else (next(rest, None), 0)
                if batch is None:
                    break
                self._flying[actor.run.remote(batch[1])] = _Flight(actor, batch, spent)
            if not self._flying and not again and self._ready:
                return
            for reference in self._next():
                if reference in self._coming:
                    self._opened(reference)
                    continue
                outcomes = self._outcomes(reference)
                if isinstance(outcomes, _Dead):
                    again.append(self._lost(reference, outcomes.why))
                else:
                    yield self._flying.pop(reference).batch[0], outcomes

    def close(self) -> None:
        """Let the workers go; what they hold outside goes with `close` of their stages."""
        busy = {flight.actor for flight in self._flying.values()}
        closing = [actor.close.remote() for actor in self._ready if actor not in busy]
        if closing:
            self.ray.wait(closing, num_returns=len(closing), timeout=30)
        for actor in [*self._ready, *self._coming.values()]:
            self.ray.kill(actor)
        end = time.monotonic() + LAST_SECONDS
        while self._flying and any(map(_lives_here, self._processes)) and time.monotonic() < end:
            time.sleep(0.05)  # what they held outside is looked for when they are dead
        self._home.mark.unlink(missing_ok=True)

    def _next(self) -> list[Any]:
        """What is done next. Only work under way may take as long as it likes: see `RaySettings.wait_seconds`."""
        patience = None if self._flying else self._patience
        done, _ = self.ray.wait([*self._flying, *self._coming], num_returns=1, timeout=patience)
        if not done:
            raise SetupError(
                f"no worker of stage {self._name!r} has started in {self._patience:g} s; the cluster has no room for one",
                f"see `ray status`; change run.ray.stages.{self._name}, or wait longer with run.ray.wait_seconds",
            )
        return list(done)

    def _start(self) -> None:
        actor = self._new(self._job, self._home)
        self._coming[actor.open.remote()] = actor

    def _opened(self, reference: Any) -> None:
        actor = self._coming.pop(reference)
        outcome = self._outcomes(reference)
        if not isinstance(outcome, _Dead):
            self._stillborn = 0
            self._ready.append(actor)
            self._processes.append(outcome)
            return
        self._stillborn += 1
        if self._stillborn < STARTS:
            self._start()
        elif not self._ready:
            raise ContextRLError(f"{STARTS} workers of stage {self._name!r} died before they began ({outcome.why})")

    def _free(self) -> list[Any]:
        """Actors with room, the emptiest first."""
        load = Counter(flight.actor for flight in self._flying.values())
        slots = [(depth, n) for n, actor in enumerate(self._ready) for depth in range(load[actor], DEPTH)]
        return [self._ready[n] for _, n in sorted(slots)]

    def _lost(self, reference: Any, why: str) -> tuple[Batch, int]:
        """A batch of a dead actor, and the workers that it has cost by now."""
        actor = self._flying[reference].actor
        if actor in self._ready:  # the first that is heard of its death
            self._ready.remove(actor)
            self._start()
            # It worked on the first batch that it was given; what only waits has killed nobody.
            self._blamed.add(next(ref for ref, flight in self._flying.items() if flight.actor == actor))
        flight = self._flying.pop(reference)
        spent = flight.spent + (reference in self._blamed)
        self._blamed.discard(reference)
        if spent >= LIVES:
            rows = ", ".join(str(row["id"]) for row in islice(self._rows(flight.batch[1]), 3))
            raise ContextRLError(
                f"{LIVES} workers of stage {self._name!r} died on the same rows ({rows}), the last so: {why}; "
                "finished rows are saved"
            )
        return flight.batch, spent

    def _outcomes(self, reference: Any) -> Any:
        """What came of a call; `_Dead` where its worker died."""
        from ray.exceptions import (
            NodeDiedError,
            ObjectLostError,
            OutOfMemoryError,
            RayActorError,
            RayError,
            RayTaskError,
            WorkerCrashedError,
        )

        try:
            return self.ray.get(reference)
        except (RayActorError, WorkerCrashedError, ObjectLostError, NodeDiedError, OutOfMemoryError) as error:
            return _Dead(_why(error))
        except RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, ContextRLError) else ContextRLError(f"{self._name}: {cause}")) from error
        except RayError as error:
            raise ContextRLError(f"Ray, at stage {self._name!r}: {first_line(error)}") from error


def _lives_here(process: tuple[str, int]) -> bool:
    node, pid = process
    return node == platform.node() and Path(f"/proc/{pid}").exists()


def _why(error: Exception) -> str:
    """The line of Ray's message that tells the cause, where one does."""
    told = (line.strip() for line in str(error).splitlines() if "dead because" in line)
    return next(told, first_line(error))[:300]
