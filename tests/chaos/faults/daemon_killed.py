"""SIGKILL of dockerd in the middle of a run. It is up again soon, or only when the run has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from chaos.episode import Episode, rest
from chaos.faults import Fault
from chaos.world import World


@dataclass(frozen=True)
class DaemonKilled(Fault):
    """The campaign's own daemon, never the machine's."""

    name = "dockerd killed"
    builds: tuple[str, ...] = field(default=("coding",), kw_only=True)

    def cuts(self, world: World, build: str) -> list[str]:
        """Where containers run."""
        return world.builds[build].of_work("thread")

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        assert world.engine is not None
        around = world.builds[episode.build.name].of_work("thread")
        episode.settings = [f"run.retries={draw.choice([0, 2])}"]  # and all workers
        episode.fill()
        process = episode.start()
        for _ in range(most):
            if not episode.moment(process, draw, around):
                break
            world.engine.kill()
            episode.struck += 1
            rest(process, draw.choice([0.0, draw.uniform(0, 3), 60.0]))
            world.engine.start()
        episode.finish(process)
