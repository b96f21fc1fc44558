"""Which pairs a step sees, in which order: a pure function of the seed and the step, so a resumed run sees the same.

Pairs are read in a stream without end: one shuffled pass over the set after another. The order of the two options
of a pair is drawn anew in every pass.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from contextrl_data.pipeline.stage import seed_of
from contextrl_data.stages.train.config import ContrastConfig


@dataclass(frozen=True, slots=True)
class Draw:
    """One pair as one slot of one step sees it."""

    index: int
    """Of the pair in its set."""
    flipped: bool
    """The supporting context comes second."""
    weight: float = 1.0
    """0 for a filler, which only keeps the number of forward passes equal on all devices."""


class PairStream:
    """The endless stream of pairs."""

    def __init__(self, ids: Sequence[str], seed: int) -> None:
        self.ids = ids
        self.seed = seed
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def _shuffled(self, epoch: int) -> list[int]:
        order = list(range(len(self.ids)))
        random.Random(seed_of(self.seed, "order", epoch)).shuffle(order)
        return order

    def at(self, position: int) -> Draw:
        """The pair at a place of the stream."""
        epoch, place = divmod(position, len(self.ids))
        index = self._order(epoch)[place]
        return Draw(index, bool(seed_of(self.seed, self.ids[index], "flip", epoch) & 1))

    def slot(self, start: int, count: int, slot: int, slots: int) -> list[Draw]:
        """The share of `count` pairs from `start` on that falls to one of `slots` micro-steps x devices.

        Every slot gets equally many draws; those beyond `count` have weight 0.
        """
        size = -(-count // slots)
        draws = []
        for offset in range(slot * size, (slot + 1) * size):
            draw = self.at(start + offset % count)
            draws.append(draw if offset < count else Draw(draw.index, draw.flipped, 0.0))
        return draws


class Plan:
    """How many pairs, and what weight, each step has."""

    def __init__(self, config: ContrastConfig, prompts_per_step: int, steps: int) -> None:
        self.config = config
        self.steps = steps
        counts = [self._pairs(step, prompts_per_step) for step in range(steps)]
        self._counts = counts
        self._starts = [0]
        for count in counts:
            self._starts.append(self._starts[-1] + count)

    def _pairs(self, step: int, prompts: int) -> int:
        c = self.config
        if step % c.every:
            return 0
        if c.share is None:
            return c.pairs_per_step
        share = c.share + (_through(step, self.steps) * (c.share_end - c.share) if c.share_end is not None else 0.0)
        return max(1, round(prompts * share / (1 - share)))

    def pairs(self, step: int) -> int:
        """Pairs in a step."""
        return self._counts[step] if step < self.steps else 0

    def start(self, step: int) -> int:
        """Place in the stream of a step's first pair."""
        return self._starts[min(step, self.steps)]

    @property
    def total(self) -> int:
        """Pairs in the whole run."""
        return self._starts[-1]

    def weight(self, step: int) -> float:
        """Lambda of a step."""
        c = self.config
        end = c.weight if c.weight_end is None else c.weight_end
        weight = c.weight + _through(step, self.steps) * (end - c.weight)
        return weight * min(1.0, (step + 1) / (c.warmup_steps + 1))


def _through(step: int, steps: int) -> float:
    """How far through the run a step is: 0 at the first, 1 at the last."""
    return min(1.0, step / max(1, steps - 1))
