"""One module per kind of fault. Each strikes an episode's runs, and leaves the machine whole for the resume."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Protocol

from chaos.episode import Episode
from chaos.world import World


class Fault(Protocol):
    """A kind of fault."""

    name: str
    builds: tuple[str, ...]
    """Builds that it can strike."""

    def lacking(self, world: World) -> str:
        """Why it cannot be had on this machine; empty where it can."""
        ...

    def cuts(self, world: World, build: str) -> list[str]:
        """Stages that an episode may begin with."""
        ...

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """Fill the episode, run its command under at most so many faults, and count them in `episode.struck`."""
        ...


@dataclass(frozen=True)
class OnBuilds:
    """What most kinds share."""

    builds: tuple[str, ...] = ("coding", "images")

    def lacking(self, world: World) -> str:
        """Nothing is needed."""
        return ""

    def cuts(self, world: World, build: str) -> list[str]:
        """Any late stage."""
        return world.builds[build].late()
