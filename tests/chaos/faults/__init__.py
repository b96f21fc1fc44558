"""One module per kind of fault. Each strikes an episode's runs, and leaves the machine whole for the resume."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chaos.compare import differences, left_over, wrong_labels
from chaos.episode import Episode
from chaos.faults.mounts import unmount
from chaos.world import World


@dataclass
class Outcome:
    """What came of one build that was disturbed and then resumed."""

    faults: int
    different: list[str]
    """Files that hold other bytes than in the undisturbed build, are missing, or too many."""
    left: list[str]
    wrong: list[str]
    """Labels that another one stood in for, seen before the resume."""
    dishonest: list[str]

    def told(self) -> list[str]:
        """All misses, in words."""
        return [*(f"differs: {name}" for name in self.different), *self.left, *self.wrong, *self.dishonest]


@dataclass(frozen=True)
class Fault(ABC):
    """A kind of fault, and the builds that it can strike."""

    builds: tuple[str, ...] = field(default=("coding", "images"), kw_only=True)

    @property
    @abstractmethod
    def name(self) -> str:
        """As the table has it."""

    @abstractmethod
    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """Fill the episode, run its command under at most so many faults, and count them in `episode.struck`."""

    def lane(self, build: str) -> str:
        """Builds of one lane come one after another; lanes share nothing, and run side by side."""
        return build.split("-")[0]

    def lacking(self, world: World, build: str) -> str:
        """Why it cannot be had on this machine; empty where it can."""
        return "" if build in world.builds else world.lacking

    def cuts(self, world: World, build: str) -> list[str]:
        """Stages that an episode may begin with."""
        return world.builds[build].late()

    def episode(self, world: World, build: str, folder: Path, draw: Random, most: int) -> Outcome:
        """Disturb one build at most so many times, resume it, compare."""
        cut = draw.choice(self.cuts(world, build))
        episode = Episode(world.builds[build], folder, cut)
        episode.settings = [f"run.workers={draw.choice([1, 1, 2])}"]
        docker = self.lane(build) == "coding"
        before = world.holdings() if docker else {}
        try:
            self.strike(world, episode, draw, most)
            wrong = wrong_labels(episode)
            if code := episode.finish(episode.start()):
                episode.dishonest.append(f"the resume ended with {code}")
            different = differences(episode.build, episode.runs)
            left = left_over(episode, before, world.holdings() if docker else {})
        finally:
            unmount(folder)
        shutil.rmtree(folder)
        return Outcome(episode.struck, different, left, wrong, episode.dishonest)
