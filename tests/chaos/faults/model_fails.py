"""A server of models that hangs, refuses, breaks or answers half: for a few calls, or until the run gives up."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from chaos.episode import Episode
from chaos.faults import OnBuilds
from chaos.served import KINDS, Outage
from chaos.world import World


@dataclass(frozen=True)
class ModelFails(OnBuilds):
    """Each outage that a run met is a fault, however many calls it spoilt."""

    model: Literal["agent", "judge"] = "agent"
    builds: tuple[str, ...] = ("coding-served",)

    @property
    def name(self) -> str:
        """Says who asks."""
        return f"{self.model}'s model server fails"

    def lacking(self, world: World) -> str:
        """A daemon of one's own: the judge's pairs are of runs in containers too."""
        return world.lacking

    def cuts(self, world: World, build: str) -> list[str]:
        """Where the model is asked."""
        return ["rollouts" if self.model == "agent" else "judge"]

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        episode.settings = ["run.retries=0"]
        episode.fill()
        outages, start = [], 0
        for _ in range(most):
            kind = draw.choice(KINDS)
            start += draw.randint(0, 6)
            length = draw.choice([1, 2] if kind == "hang" else [1, 2, 5, 40])
            outages.append(Outage(self.model, kind, start, length))
            start += length
        world.server.arm(outages)
        episode.finish(episode.start())
        world.server.arm([])
        episode.struck = sum(bool(outage.met) for outage in outages)
