"""SIGKILL of one worker process of a stage that computes."""

from __future__ import annotations

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
        episode.fill()
        for _ in range(most):
            process, found = episode.start(), list[int]()

            def some(found: list[int] = found, main: int = process.pid) -> bool:
                found[:] = workers(episode.mark, main)
                return bool(found)

            for _ in range(draw.randint(1, 3)):  # the first pool, or a later one
                if not wait_until(process, some) or not rest(process, draw.uniform(0, 1.2)):
                    break
            if process.poll() is None and some() and kill(draw.choice(found)):
                episode.struck += 1
            episode.finish(process)
            if process.returncode == 0:
                return
