"""Picking tasks: siblings stay together, caps hold, the order of the input does not matter."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.pick import Pick, PickConfig


class Tasks(list[Row]):
    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({name: row[name] for name in columns} for row in self)


def tasks(sizes: list[tuple[str, int]]) -> Tasks:
    """`(repo, number of tasks)` for one function each."""
    return Tasks(
        {"id": f"{repo}-{f}-{n}", "repo": repo, "commit": "c", "file": "a.py", "symbol": f"f{f}"}
        for f, (repo, count) in enumerate(sizes)
        for n in range(count)
    )


def test_a_task_without_siblings_is_dropped_with_the_reason() -> None:
    picked = Pick(PickConfig()).gather(tasks([("r", 1), ("r", 3)]))
    assert [row["id"] for row in picked.rows] == ["r-1-0", "r-1-1", "r-1-2"]
    assert picked.dropped == {"r-0-0": "no sibling task in its function"}


def test_repositories_take_turns() -> None:
    picked = Pick(PickConfig(max_tasks=9)).gather(tasks([("a", 3)] * 5 + [("b", 3)] * 5 + [("c", 3)] * 5))
    assert Counter(row["repo"] for row in picked.rows) == {"a": 3, "b": 3, "c": 3}


@given(
    sizes=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=1, max_size=12),
    most=st.one_of(st.none(), st.integers(2, 40)),
    cap=st.integers(2, 6),
    order=st.randoms(use_true_random=False),
)
def test_caps_hold_and_nothing_vanishes(
    sizes: list[tuple[str, int]], most: int | None, cap: int, order: random.Random
) -> None:
    given_tasks = tasks(sizes)
    stage = Pick(PickConfig(max_tasks=most, max_per_function=cap))
    picked = stage.gather(given_tasks)
    chosen = list(picked.rows)
    assert len(chosen) + len(picked.dropped) == len(given_tasks)
    assert most is None or len(chosen) <= most
    per_function = Counter((row["repo"], row["symbol"]) for row in chosen)
    assert all(2 <= count <= cap for count in per_function.values())
    shuffled = Tasks(given_tasks)
    order.shuffle(shuffled)
    assert {row["id"] for row in stage.gather(shuffled).rows} == {row["id"] for row in chosen}
