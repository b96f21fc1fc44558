"""SIGKILL of a random container while an agent or a test suite runs in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from chaos.episode import Episode, rest, wait_until
from chaos.faults import Fault
from chaos.world import World


@dataclass(frozen=True)
class ContainerKilled(Fault):
    """Several containers of one run die; half of the runs try a failed row again by themselves."""

    name = "container killed"
    builds: tuple[str, ...] = field(default=("coding",), kw_only=True)

    def cuts(self, world: World, build: str) -> list[str]:
        """Where containers run."""
        return world.builds[build].of_work("thread")

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        assert world.engine is not None
        engine = world.engine
        episode.settings = [f"run.retries={draw.choice([0, 2])}"]  # and all workers
        episode.fill()
        process = episode.start()
        while episode.struck < most and wait_until(process, lambda: bool(engine.containers())):
            if not rest(process, draw.uniform(0, 0.5)):
                break
            running = engine.containers()
            if running and engine.kill_container(draw.choice(running)):
                episode.struck += 1
        episode.finish(process)
