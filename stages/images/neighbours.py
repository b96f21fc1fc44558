"""The nearest pictures with another answer to the same question, exactly: block by block, inside each group.

What makes it fast and exact at once: members are sorted by answer, so that the products with the same answer are a
block that is never computed; each product serves both of its sides; and a product is looked at again only where it is
greater than the k-th best so far of one of its sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.stage import Tell, silent
from contextrl_data.stages.images.tiles import Floats, Ints, Tiles, Wanted

ROWS, COLUMNS = 1024, 8192
"""Size of a tile: large enough for full speed, small enough for 32 MB."""
SLACK = 1e-5
"""Products in float32 may be off by this; what is found is measured again, exactly."""
SPARE = 4
"""Partners kept beyond k until they are measured exactly: at the border float32 may take the wrong one."""
PENDING = 2_000_000
"""Products kept before they are reduced to the best of each side."""


@dataclass(frozen=True)
class Members:
    """What is known of n answered questions; arrays of length n."""

    group: Ints
    """Code of the question group; only members of one group are compared."""
    answer: Ints
    """Code of the answer within its group; members of one answer are never compared."""
    source: Ints
    """Code of the picture or scene it comes from; members of one source are never compared."""
    place: Ints
    """Row of the vector."""


@dataclass(frozen=True)
class Bounds:
    """Which similarities count."""

    k: int
    low: float
    high: float
    highest_second: float | None = None


@dataclass(frozen=True)
class Found:
    """Undirected pairs, each once: `one` < `other` are places among the members."""

    one: Ints
    other: Ints
    similarity: npt.NDArray[np.float64]


class Best:
    """The k best partners of every member, as far as they are known."""

    def __init__(self, count: int, k: int, low: float) -> None:
        self.k = k
        self.least = np.full(count, low, dtype=np.float32)
        self._member, self._partner = np.empty(0, np.int64), np.empty(0, np.int64)
        self._value = np.empty(0, np.float32)
        self._pending: list[tuple[Ints, Ints, Floats]] = []
        self._count = 0

    def add(self, one: Ints, other: Ints, value: Floats) -> None:
        """Offer pairs to both of their sides."""
        for member, partner in ((one, other), (other, one)):
            worth = value >= self.least[member]
            self._pending.append((member[worth], partner[worth], value[worth]))
            self._count += int(np.count_nonzero(worth))
        if self._count > PENDING:
            self.reduce()

    def reduce(self) -> None:
        """Sort what is pending among the best, and forget what is not among the first k."""
        parts = [(self._member, self._partner, self._value), *self._pending]
        member, partner, value = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.argsort(_descending(member, value))
        member, partner, value = member[order], partner[order], value[order]
        rank = ranks(member)
        full = rank == self.k - 1
        self.least[member[full]] = value[full]
        kept = rank < self.k
        self._member, self._partner, self._value = member[kept], partner[kept], value[kept]
        self._pending, self._count = [], 0

    def pairs(self) -> tuple[Ints, Ints]:
        """Every pair that is among the best of one of its sides, once."""
        self.reduce()
        low, high = np.minimum(self._member, self._partner), np.maximum(self._member, self._partner)
        both = np.unique(np.stack([low, high]), axis=1)
        return both[0], both[1]


def _descending(member: Ints, value: Floats) -> npt.NDArray[np.uint64]:
    """One key that sorts by member, then by falling value: a float's bits, turned so that they sort as integers."""
    bits = value.view(np.uint32)
    rising = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
    return (member.astype(np.uint64) << np.uint64(32)) | (~rising).astype(np.uint64)


def ranks(member: Ints) -> Ints:
    """Place of each entry among those of its member, which stand together: 0, 1, ..., 0, 1, ..."""
    starts = np.flatnonzero(np.diff(member, prepend=-1))
    return np.arange(len(member)) - np.repeat(starts, np.diff(starts, append=len(member)))


def nearest_in_groups(
    members: Members, vectors: list[npt.NDArray[np.float16]], bounds: Bounds, tiles: Tiles, tell: Tell = silent
) -> Found:
    """The `k` nearest wanted partners of every member. `vectors` are (m, d) of each encoder, at length 1."""
    best = Best(len(members.group), bounds.k + SPARE, bounds.low - SLACK)
    done = 0
    for own in groups_of(members):
        _mine_group(own, members, vectors, bounds, tiles, best)
        done += len(own)
        tell("questions compared", done, len(members.group))
    one, other = best.pairs()
    return exactly(one, other, members, vectors, bounds)


def groups_of(members: Members) -> Iterator[Ints]:
    """Members of each group with more than one answer, sorted by answer."""
    order = np.lexsort((members.answer, members.group))
    borders = np.flatnonzero(np.diff(members.group[order])) + 1
    for own in np.split(order, borders):
        if len(own) > 1 and members.answer[own[0]] != members.answer[own[-1]]:
            yield own


def _mine_group(
    own: Ints,
    members: Members,
    vectors: list[npt.NDArray[np.float16]],
    bounds: Bounds,
    tiles: Tiles,
    best: Best,
) -> None:
    tiles.hold([unit(each[members.place[own]]) for each in vectors])
    ends = np.searchsorted(members.answer[own], members.answer[own], side="right")
    source = members.source[own]
    repeats = len(np.unique(source)) < len(source)
    for top in range(0, len(own), ROWS):
        rows = slice(top, min(top + ROWS, len(own)))
        for left in range(int(ends[top]), len(own), COLUMNS):
            columns = slice(left, min(left + COLUMNS, len(own)))
            wanted = Wanted(
                ends=np.minimum(ends[rows] - left, columns.stop - left),
                same=(source[rows], source[columns]) if repeats else None,
                high=bounds.high + SLACK,
                highest_second=None if bounds.highest_second is None else bounds.highest_second + SLACK,
                rows=best.least[own[rows]],
                columns=best.least[own[columns]],
                k=best.k,
            )
            row, column, value = tiles.hits(rows, columns, wanted)
            fit = value <= wanted.high
            best.add(own[row[fit] + top], own[column[fit] + left], value[fit])


def exactly(one: Ints, other: Ints, members: Members, vectors: list[npt.NDArray[np.float16]], bounds: Bounds) -> Found:
    """Measure pairs again in float64, where no order of summation shows; hold the bounds and k to that."""
    similarity = cosine(vectors[0], members.place[one], members.place[other])
    kept = (similarity >= bounds.low) & (similarity <= bounds.high)
    if bounds.highest_second is not None:
        kept &= cosine(vectors[1], members.place[one], members.place[other]) <= bounds.highest_second
    one, other, similarity = one[kept], other[kept], similarity[kept]
    near = _among_first(one, other, similarity, bounds.k) | _among_first(other, one, similarity, bounds.k)
    return Found(one[near], other[near], similarity[near])


def _among_first(member: Ints, partner: Ints, similarity: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.bool_]:
    """Whether the partner is one of the k nearest of the member, whichever of the pair's sides others stand on."""
    both = np.concatenate([member, partner])
    order = np.lexsort((np.concatenate([partner, member]), -np.tile(similarity, 2), both))
    rank = np.empty(len(both), np.int64)
    rank[order] = ranks(both[order])
    return rank[: len(member)] < k


def unit(vectors: npt.NDArray[np.float16]) -> Floats:
    """In float32 and at length 1 again: what float16 rounds off is more than neighbours differ by."""
    full = vectors.astype(np.float32)
    full /= np.sqrt(np.einsum("nd,nd->n", full, full))[:, None]
    return full


def cosine(vectors: npt.NDArray[np.float16], one: Ints, other: Ints) -> npt.NDArray[np.float64]:
    """Cosines of pairs of rows, to six digits."""
    result = np.empty(len(one), dtype=np.float64)
    for start in range(0, len(one), 4096):
        part = slice(start, start + 4096)
        left, right = (vectors[side[part]].astype(np.float64) for side in (one, other))
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        result[part] = np.einsum("nd,nd->n", left, right) / lengths
    return np.round(result, 6)
