"""Choose as many pairs as possible while every blind baseline stays at chance. Knows units and numbers, no columns.

A unit is an undirected pair: it is taken with all its directions, or not at all. Its *tilt* is how far its rows push
each baseline from one half. The greedy rule takes, again and again, the unit that brings the summed tilt nearest to
zero. Where nothing can be added without leaving the allowed band it goes on for a while outside of it, since two steps
may cancel, and falls back to the last balanced set if they do not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.stage import Tell, seed_of, silent

_Z95 = 1.959963984540054
_ROUNDING = 1e-9
TELL_EVERY = 32
"""Units between two words on how far the search is."""


@dataclass(frozen=True)
class Unit:
    """An undirected pair, as the choice sees it."""

    id: str
    rows: int
    """How many directed rows it brings."""
    kinds: tuple[str, ...]
    """What it counts as: each of these may have a share of the set."""
    source: str
    """Repository, data set: what no single one of should fill the set."""
    members: tuple[str, ...]
    """Everything with a cap per unit: its group and its contexts."""
    tilt: tuple[float, ...]
    """Per baseline: the sum over its rows of score - 0.5."""


@dataclass(frozen=True)
class Limits:
    """What the chosen set may not exceed."""

    rows: int
    per_member: Mapping[str, int]
    """Member -> how many units may hold it; members that are absent are not capped."""
    per_source: int
    per_kind: Mapping[str, int]
    """Kind -> rows; kinds that are absent are not capped."""
    soft: frozenset[str] = frozenset()
    """Kinds whose caps are lifted first where room is left; the caps of the others fall only after that."""
    slack: float = 1.0
    """Share of the interval's half width that the summed tilt may use."""


@dataclass
class Choice:
    """The chosen units, and what stopped each of the others."""

    chosen: list[str] = field(default_factory=list)
    rows: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    tilted: Counter[str] = field(default_factory=Counter)
    """Baseline -> units left out for its sake."""


def band(rows: int, slack: float = 1.0) -> float:
    """Largest summed tilt of so many rows that is allowed.

    A 95 % Wilson interval contains one half exactly when the hits differ from rows/2 by at most z/2 * sqrt(rows).
    One unit of tilt is allowed wherever that limit allows it, so that small sets are not emptied by `slack`.
    """
    limit = _Z95 / 2 * math.sqrt(rows)
    return max(slack * limit, min(1.0, limit)) if slack < 1 else limit


def choose(
    units: Sequence[Unit], baselines: Sequence[str], limits: Limits, seed: int, fill: bool = True, tell: Tell = silent
) -> Choice:
    """Pick units; the same ones for any order of `units`.

    With `fill`, room that a kind leaves of its quota goes to the others.
    """
    ordered = sorted(units, key=lambda unit: (seed_of(seed, unit.id), unit.id))
    search = _Search(ordered, len(baselines), limits, tell)
    search.run(limits.per_kind)
    if fill and limits.soft and search.total < limits.rows:
        search.run({kind: rows for kind, rows in limits.per_kind.items() if kind not in limits.soft})
    if fill and search.total < limits.rows:
        search.run({})
    choice = Choice(sorted(ordered[place].id for place in search.taken), search.total)
    quotas = {} if fill else limits.per_kind
    for place in np.flatnonzero(~search.mask):
        reason, baseline = search.why_not(int(place), quotas)
        choice.reasons[ordered[place].id] = reason if baseline is None else f"would tilt {baselines[baseline]}"
        if baseline is not None:
            choice.tilted[baselines[baseline]] += 1
    return choice


class _Search:
    """The state of the greedy choice; a step can be taken back."""

    def __init__(self, units: Sequence[Unit], baselines: int, limits: Limits, tell: Tell) -> None:
        self.tell = tell
        self.units, self.limits = units, limits
        self.tilts: npt.NDArray[np.float64] = np.array([u.tilt for u in units], float).reshape(len(units), baselines)
        self.rows: npt.NDArray[np.int64] = np.array([unit.rows for unit in units], int)
        self.bands = np.array([band(rows, limits.slack) for rows in range(limits.rows + 1)]) + _ROUNDING
        self.mask: npt.NDArray[np.bool_] = np.zeros(len(units), bool)
        self.taken: list[int] = []
        self.total = 0
        self.sum: npt.NDArray[np.float64] = np.zeros(baselines)
        self.members: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.holding: dict[str, list[int]] = {}
        for place, unit in enumerate(units):
            for key in _keys(unit):
                self.holding.setdefault(key, []).append(place)

    def run(self, quotas: Mapping[str, int]) -> None:
        """Take units until nothing fits; end on the last balanced set."""
        open_: npt.NDArray[np.bool_] = np.array(
            [not self.mask[p] and self.full(p, quotas) is None for p in range(len(self.units))], bool
        )
        balanced = len(self.taken)
        while open_.any():
            places = np.flatnonzero(open_)
            after = self.sum + self.tilts[places]
            cost = (after**2).sum(axis=1)
            inside = (np.abs(after) <= self.bands[self.total + self.rows[places], None]).all(axis=1)
            cost[~inside] += 1e18 if inside.any() else 0.0
            place = int(places[np.argmin(cost)])
            self._add(place, 1)
            open_[place] = False
            for key in self._tight(self.units[place], quotas):
                for other in self.holding[key]:
                    open_[other] = open_[other] and self.full(other, quotas) is None
            if self.total + 2 > self.limits.rows:  # near the end the row limit can close any unit
                open_ &= self.total + self.rows <= self.limits.rows
            if inside.any():
                balanced = len(self.taken)
            if len(self.taken) % TELL_EVERY == 0:
                self.tell("rows chosen", self.total, self.limits.rows)
        while len(self.taken) > balanced:
            self._add(self.taken[-1], -1)

    def _tight(self, unit: Unit, quotas: Mapping[str, int]) -> Iterator[str]:
        """Keys of the unit under which another may not fit any more; the rest need no look at all who hold them."""
        most, limits = int(self.rows.max()), self.limits
        for member in unit.members:
            if self.members[member] >= limits.per_member.get(member, len(self.units)):
                yield f"m:{member}"
        if self.sources[unit.source] + most > limits.per_source:
            yield f"s:{unit.source}"
        for kind in unit.kinds:
            if kind in quotas and self.kinds[kind] + most > quotas[kind]:
                yield f"k:{kind}"

    def full(self, place: int, quotas: Mapping[str, int]) -> str | None:
        """The first limit that keeps the unit out, or None."""
        unit = self.units[place]
        if any(self.members[m] >= self.limits.per_member[m] for m in unit.members if m in self.limits.per_member):
            return "cap per group or context reached"
        if self.sources[unit.source] + unit.rows > self.limits.per_source:
            return "cap per repository reached"
        if any(kind in quotas and self.kinds[kind] + unit.rows > quotas[kind] for kind in unit.kinds):
            return "share of its kind reached"
        return "target reached" if self.total + unit.rows > self.limits.rows else None

    def why_not(self, place: int, quotas: Mapping[str, int]) -> tuple[str, int | None]:
        """What kept the unit out at the end: a limit, or the baseline that it would tilt most."""
        if self.total + self.units[place].rows > self.limits.rows:
            return "target reached", None
        if reason := self.full(place, quotas):
            return reason, None
        return "", int(np.argmax(np.abs(self.sum + self.tilts[place])))

    def _add(self, place: int, sign: int) -> None:
        unit = self.units[place]
        if sign > 0:
            self.taken.append(place)
        else:
            self.taken.pop()
        self.mask[place] = sign > 0
        self.total += sign * unit.rows
        self.sum = self.sum + sign * self.tilts[place]
        self.members.update(dict.fromkeys(unit.members, sign))
        self.sources[unit.source] += sign * unit.rows
        self.kinds.update(dict.fromkeys(unit.kinds, sign * unit.rows))


def _keys(unit: Unit) -> list[str]:
    """What a unit shares with others, for finding those that its choice may close."""
    return [*(f"m:{member}" for member in unit.members), f"s:{unit.source}", *(f"k:{kind}" for kind in unit.kinds)]
