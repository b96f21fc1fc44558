"""Rows that must stay together in one split: connected components over what they share, and over what is nearly the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from contextrl_data.pipeline.stage import Row


def member(column: str, value: object) -> str:
    """The name of what a row holds in a column: groups apart, every context column one space of names."""
    return f"group {value}" if column == "group" else f"context {value}"


class Components:
    """Pairs, joined through the members that their rows share."""

    def __init__(self, rows: Sequence[Row], columns: Sequence[str]) -> None:
        self._parent: dict[str, str] = {}
        self._rows = sorted(rows, key=lambda row: str(row["id"]))
        for row in self._rows:
            for column in columns:
                self._parent[self._root(member(column, row[column]))] = self._root(f"pair {row['pair_id']}")
        self._size = Counter(self._root(f"pair {row['pair_id']}") for row in self._rows)

    def join(self, links: Iterable[tuple[str, str]], largest: int) -> list[tuple[str, str]]:
        """Join members two by two, but never to more than `largest` rows; returns the links that stay open."""
        left = []
        for one, other in links:
            first, second = self._root(one), self._root(other)
            if first == second:
                continue
            if self._size[first] + self._size[second] > largest:
                left.append((one, other))
                continue
            self._parent[first] = second
            self._size[second] += self._size.pop(first, 0)
        # What stayed open while its ends were apart may have been closed by a way round.
        return [(one, other) for one, other in left if self._root(one) != self._root(other)]

    def parts(self) -> list[list[Row]]:
        """The rows of each component, in the order of their smallest ids."""
        found: dict[str, list[Row]] = {}
        for row in self._rows:
            found.setdefault(self._root(f"pair {row['pair_id']}"), []).append(row)
        return list(found.values())

    def _root(self, key: str) -> str:
        self._parent.setdefault(key, key)
        while self._parent[key] != key:
            self._parent[key] = self._parent[self._parent[key]]
            key = self._parent[key]
        return key
