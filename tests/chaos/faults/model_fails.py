"""A server of models that hangs, refuses, breaks or answers half: for a few calls, or until the run gives up."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from chaos.episode import Episode
from chaos.faults import Fault
from chaos.served import KINDS, Outage
from chaos.world import World


@dataclass(frozen=True)
class ModelFails(Fault):
    """Each outage that a run met is a fault, however many calls it spoilt."""

    model: Literal["agent", "judge"] = "agent"
    builds: tuple[str, ...] = field(default=("coding-served",), kw_only=True)

    @property
    def name(self) -> str:
        """Says who asks."""
        return f"{self.model}'s model server fails"

    def lane(self, build: str) -> str:
        """One lane: the server counts the calls of a model, whoever makes them."""
        return "coding"

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
            outages.append(Outage(kind, start, length))
            start += length
        world.server.arm(self.model, outages)
        episode.finish(episode.start())
        world.server.arm(self.model, [])
        episode.struck = sum(bool(outage.met) for outage in outages)
