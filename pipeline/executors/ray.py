"""Workers on a Ray cluster: one actor a worker, placed by what its stage needs.

The store must be a folder that every node sees; a worker that does not, or has another version of this package, ends
the build before it touches a row.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from contextrl_data.pipeline.errors import MissingExtra, SetupError, first_line
from contextrl_data.pipeline.executors import Batch, Job
from contextrl_data.pipeline.executors.ray_pool import Pool
from contextrl_data.pipeline.stage import Map, Outcome, StageConfig


class Needs(StageConfig):
    """What one worker of a stage takes of its node."""

    cpu: float = Field(1.0, ge=0)
    """Cores."""
    gpu: float = Field(0.0, ge=0)
    """GPUs; a share such as 0.25 puts several workers on one. A stage with a model of its own takes one where the
    cluster has any, unless this is set."""
    resources: dict[str, float] = Field(default={})
    """Custom resources of the cluster. A stage that runs containers takes `docker: 1` where nodes were started with
    `--resources='{"docker": 8}'`, unless this is set."""


class RaySettings(StageConfig):
    """The cluster, and what a worker of each stage needs."""

    address: str = "auto"
    """`auto` finds the running cluster (RAY_ADDRESS, or one on this machine), `local` starts one on this machine for
    the build, `ray://host:10001` connects from outside."""
    wait_seconds: float = Field(600.0, gt=0)
    """Longest that a stage without a single worker waits for one, while nodes are busy or being started; then the
    build ends with one line."""
    stages: dict[str, Needs] = Field(default={})
    """Stage name -> needs of its workers; others take one core."""


class RayExecutor:
    """Runs batches on a Ray cluster."""

    def __init__(self, settings: RaySettings) -> None:
        self.settings = settings

    def needs(self, stage: Map[Any]) -> Needs:
        """As they were set; else a core, and what the stage takes of that which the cluster has."""
        found = self.settings.stages.get(stage.name, Needs())
        offered = connect(self.settings).cluster_resources()
        takes = {name: each for name, each in stage.takes().items() if offered.get(name, 0) >= each}
        own = {"gpu": takes.pop("GPU", found.gpu), "resources": takes or found.resources}
        return found.model_copy(update={name: own[name] for name in own.keys() - found.model_fields_set})

    def workers(self, stage: Map[Any]) -> int:
        """As many as the cluster's nodes have room for."""
        wanted = _amounts(self.needs(stage))
        nodes = [node["Resources"] for node in connect(self.settings).nodes() if node["Alive"]]
        room = sum(
            min((math.floor(node.get(name, 0) / each + 1e-9) for name, each in wanted.items()), default=1)
            for node in nodes
        )
        if not room:
            most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in wanted}
            raise SetupError(
                f"stage {stage.name!r} needs {_told(wanted)} a worker, and no node offers all of it "
                f"(the most on any: {_told(most)})",
                f"add nodes that have it, or change run.ray.stages.{stage.name}",
            )
        return room

    def run(self, job: Job, batches: Iterator[Batch], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
        """See `Executor.run`. `workers` are actors over the whole cluster."""
        first = next(batches, None)
        if first is None:
            return
        needs = self.needs(job.stage)
        options = {"num_cpus": needs.cpu, "num_gpus": needs.gpu, "resources": dict(needs.resources) or None}
        pool = Pool(connect(self.settings), job, options, workers, self.settings.wait_seconds)
        try:
            yield from pool.drain(first, batches)
        finally:
            pool.close()


def _amounts(needs: Needs) -> dict[str, float]:
    wanted = {"CPU": needs.cpu, "GPU": needs.gpu, **needs.resources}
    return {name: each for name, each in wanted.items() if each}


def _told(amounts: dict[str, float]) -> str:
    return ", ".join(f"{each:g} {name}" for name, each in amounts.items())


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
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=settings.address,  # none would join whatever cluster runs on this machine
            log_to_driver=False,
            configure_logging=False,
            include_dashboard=False if settings.address == "local" else None,
        )
    except Exception as error:  # a node that is too slow to start is a bare `Exception` there
        raise SetupError(
            f"no Ray cluster answers at {settings.address!r} ({first_line(error)})",
            "start one (`ray start --head`), or let the build start its own: --set run.ray.address=local",
        ) from error
    if before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray has set one of its own, which aborts
    return ray
