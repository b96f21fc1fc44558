"""SIGKILL of a build's main process, and of it alone: its workers must see to themselves."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from chaos.episode import Episode
from chaos.faults import Fault
from chaos.world import World


@dataclass(frozen=True)
class MainKilled(Fault):
    """Killed, begun again, killed again."""

    name = "main process killed"

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        episode.fill()
        for _ in range(most):
            process = episode.start()
            if episode.moment(process, draw) and episode.kill(process):
                episode.struck += 1
            else:
                episode.finish(process)
                return
