"""Workers on a Ray cluster: one actor a worker, placed by what its stage needs.

The store must be a folder that every node sees. A worker that dies (a lost node, a kill) gives its batch to another; a
batch that has cost three workers their lives stops the run, since something in its rows kills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import Field

from contextrl_data.pipeline.errors import ContextRLError, MissingExtra, SetupError
from contextrl_data.pipeline.executors import Batch, Job, Places
from contextrl_data.pipeline.stage import Map, Outcome, Row, StageConfig

LIVES = 3
"""Workers that one batch may cost."""
STARTS = 10
"""Workers that may die before they have opened their stage, while none has."""
DEPTH = 2
"""Batches that one worker has: one in work, one waiting, so that it never idles."""


class Needs(StageConfig):
    """What one worker of a stage takes of its node."""

    cpu: float = Field(1.0, ge=0)
    """Cores."""
    gpu: float = Field(0.0, ge=0)
    """GPUs; a share such as 0.25 puts several workers on one."""
    resources: dict[str, float] = Field(default={})
    """Custom resources of the cluster, for example `docker: 1` where nodes were started with `--resources='{"docker": 8}'`."""


class RaySettings(StageConfig):
    """The cluster, and what a worker of each stage needs."""

    address: str = "auto"
    """`auto` finds the running cluster (RAY_ADDRESS, or one on this machine), `local` starts one on this machine for
    the build, `ray://host:10001` connects from outside."""
    stages: dict[str, Needs] = Field(default={})
    """Stage name -> needs of its workers; others take one core."""


class RayExecutor:
    """Runs batches on a Ray cluster."""

    def __init__(self, settings: RaySettings) -> None:
        self.settings = settings

    def workers(self, stage: Map[Any]) -> int:
        """As many as the cluster has room for."""
        offered = connect(self.settings).cluster_resources()
        needs = self.settings.stages.get(stage.name, Needs())
        wanted = {"CPU": needs.cpu, "GPU": needs.gpu, **needs.resources}
        rooms = {name: int(offered.get(name, 0) // each) for name, each in wanted.items() if each}
        for name, room in rooms.items():
            if not room:
                raise SetupError(
                    f"stage {stage.name!r} needs {wanted[name]:g} {name} a worker, and the cluster offers {offered.get(name, 0):g}",
                    f"add nodes that have it, or change run.ray.stages.{stage.name}",
                )
        return min(rooms.values(), default=1)

    def run(self, job: Job, batches: Iterator[Batch], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
        """See `Executor.run`. `workers` are actors over the whole cluster."""
        first = next(batches, None)
        if first is None:
            return
        pool = _Pool(job, self.settings, workers)
        try:
            yield from pool.drain(first, batches)
        finally:
            pool.close()


def connect(settings: RaySettings) -> Any:
    """The `ray` module, connected.

    Raises:
        MissingExtra: Ray is not installed.
        SetupError: no cluster answers.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "the Ray executor") from error
    if ray.is_initialized():
        return ray
    address = None if settings.address == "local" else settings.address
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            configure_logging=False,
            include_dashboard=False if address is None else None,
        )
    except Exception as error:  # a node that is too slow to start is a bare `Exception` there
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise SetupError(
            f"no Ray cluster answers at {settings.address!r} ({said})",
            "start one (`ray start --head`), or let the build start its own: --set run.ray.address=local",
        ) from error
    return ray


class _Worker:
    """Lives in an actor."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def open(self) -> None:
        self.job.stage.open(self.job.context)

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


class _Pool:
    """Actors that come and go; each has one batch in work and one waiting.

    An actor gets work when it has opened its stage: one that no node has room for holds nothing up.
    """

    def __init__(self, job: Job, settings: RaySettings, workers: int) -> None:
        self.ray = connect(settings)
        needs = settings.stages.get(job.stage.name, Needs())
        options = {"num_cpus": needs.cpu, "num_gpus": needs.gpu, "resources": dict(needs.resources) or None}
        self._new = self.ray.remote(_Worker).options(**options).remote
        self._job = self.ray.put(job)
        self._rows = job.rows
        self._name = job.stage.name
        self._ready: list[Any] = []
        self._coming: dict[Any, Any] = {}  # reference of its opening -> actor
        self._flying: dict[Any, _Flight] = {}
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
            done, _ = self.ray.wait([*self._flying, *self._coming], num_returns=1)
            for reference in done:
                if reference in self._coming:
                    self._opened(reference)
                    continue
                guilty = self._in_work(self._flying[reference].actor) == reference
                flight = self._flying.pop(reference)
                outcomes = self._outcomes(reference)
                if isinstance(outcomes, _Dead):
                    self._replace(flight)
                    again.append((flight.batch, flight.spent + guilty))
                else:
                    yield flight.batch[0], outcomes

    def close(self) -> None:
        """Let the workers go; what they hold outside goes with `close` of their stages."""
        busy = {flight.actor for flight in self._flying.values()}
        closing = [actor.close.remote() for actor in self._ready if actor not in busy]
        if closing:
            self.ray.wait(closing, num_returns=len(closing), timeout=30)
        for actor in [*self._ready, *self._coming.values()]:
            self.ray.kill(actor)

    def _start(self) -> None:
        actor = self._new(self._job)
        self._coming[actor.open.remote()] = actor

    def _opened(self, reference: Any) -> None:
        actor = self._coming.pop(reference)
        if not isinstance(self._outcomes(reference), _Dead):
            self._ready.append(actor)
            return
        self._stillborn += 1
        if self._stillborn >= STARTS and not self._ready:
            raise ContextRLError(f"{STARTS} workers of stage {self._name!r} died before they began; see Ray's own logs")
        self._start()

    def _free(self) -> list[Any]:
        """Actors with room, the emptiest first."""
        load = Counter(flight.actor for flight in self._flying.values())
        slots = [(depth, n) for n, actor in enumerate(self._ready) for depth in range(load[actor], DEPTH)]
        return [self._ready[n] for _, n in sorted(slots)]

    def _in_work(self, actor: Any) -> Any:
        """The batch that an actor works on: the first that it was given. What only waits has killed nobody."""
        return next(reference for reference, flight in self._flying.items() if flight.actor == actor)

    def _replace(self, flight: _Flight) -> None:
        """Ask for an actor in the place of a dead one, wherever there is room."""
        if flight.spent + 1 >= LIVES:
            rows = ", ".join(str(row["id"]) for row in islice(self._rows(flight.batch[1]), 3))
            raise ContextRLError(
                f"{LIVES} workers of stage {self._name!r} died on the same rows ({rows}); finished rows are saved"
            )
        if flight.actor in self._ready:
            self._ready.remove(flight.actor)
            self._start()

    def _outcomes(self, reference: Any) -> Any:
        """What came of a call; `_Dead` where its worker died."""
        from ray.exceptions import ObjectLostError, RayActorError, RayTaskError, WorkerCrashedError

        try:
            return self.ray.get(reference)
        except (RayActorError, WorkerCrashedError, ObjectLostError):
            return _Dead()
        except RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, ContextRLError) else ContextRLError(f"{self._name}: {cause}")) from error


class _Dead:
    """The worker is no more."""
