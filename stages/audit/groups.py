"""Which rows are not independent of each other: the clusters that intervals, tests and folds go by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contextrl_data.stages.audit.measure import Measured

Clusters = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clustering:
    """A number 0..k-1 for each row, in the order of the rows."""

    test: Clusters
    """For intervals and tests."""
    folds: Clusters
    """For cross-validation: the same, but one only where the dataset says that all rows are one group."""
    note: str = ""


def cluster(rows: Sequence[Measured]) -> Clustering:
    """Rows that share a group, a pair or a context are one cluster.

    Where contexts are used so often that they chain more than half of the rows together, they are left out of it.
    """
    pairs = pair_names(rows)
    groups = [f"group {row.group}" if row.group else "" for row in rows]

    def members(number: int) -> list[str]:
        return [name for name in (pairs[number], groups[number]) if name]

    def with_contexts(number: int) -> list[str]:
        keys = rows[number].context_keys
        return [*members(number), *(f"context {key}" for key in keys or ())]

    whole = components(len(rows), with_contexts)
    if _largest(whole) <= 0.5:
        return Clustering(whole, whole)
    declared = components(len(rows), members)
    if len(set(groups)) == 1 and groups[0]:
        note = "All pairs are of one group: nothing can be cross-validated, and pairs are taken as independent."
        return Clustering(components(len(rows), lambda number: [pairs[number]]), declared, note)
    if len(set(whole.tolist())) < len(set(declared.tolist())):
        return Clustering(
            declared, declared, "Contexts stand in so many pairs that only groups and pairs are held apart."
        )
    return Clustering(declared, declared)


def pair_names(rows: Sequence[Measured]) -> list[str]:
    """The undirected pair of each row: as the dataset says, or the two contexts in any order."""
    names = []
    for number, row in enumerate(rows):
        keys = row.context_keys
        names.append(
            f"pair {row.pair}" if row.pair else f"contexts {' '.join(sorted(keys))}" if keys else f"row {number}"
        )
    return names


def components(count: int, members: Callable[[int], Iterable[str]]) -> Clusters:
    """Connected components of rows through shared members, numbered by first appearance."""
    parent = list(range(count))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[str, int] = {}
    for place in range(count):
        for member in members(place):
            one, other = root(first.setdefault(member, place)), root(place)
            parent[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(place), len(numbers)) for place in range(count)], np.int64)


def _largest(clusters: Clusters) -> float:
    return max(Counter(clusters.tolist()).values(), default=0) / max(len(clusters), 1)
