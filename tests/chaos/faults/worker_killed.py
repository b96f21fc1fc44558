"""SIGKILL of one worker process of a stage that computes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from random import Random

from chaos.episode import Episode, rest, wait_until
from chaos.faults import Fault
from chaos.processes import kill, workers
from chaos.world import World


@dataclass(frozen=True)
class WorkerKilled(Fault):
    """A worker dies, and the run with it, in good order."""

    name = "worker process killed"

    def cuts(self, world: World, build: str) -> list[str]:
        """Begin with what computes: nothing else has worker processes."""
        return world.builds[build].of_work("process")

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        episode.settings = ["run.workers=2"]
        episode.fill()
        for _ in range(most):
            process, found = episode.start(), list[int]()

            def some(found: list[int] = found, main: int = process.pid) -> bool:
                with suppress(OSError):
                    found[:] = workers(main)
                return bool(found)

            wait_until(process, some)
            rest(
                process, draw.choice([0.0, draw.uniform(0, 1), draw.uniform(0, 6)])
            )  # starting, working, or a later pool
            if wait_until(process, some) and kill(draw.choice(found)):
                episode.struck += 1
            if episode.finish(process) == 0:
                return
