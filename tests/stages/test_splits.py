"""Splits share nothing, keep both directions together and stay balanced."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from factories import pair_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Gathered, Row
from contextrl_data.stages.splits import SplitConfig, SplitPairs


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


def run(rows: list[Row], **config: Any) -> tuple[list[Row], Gathered]:
    found = SplitPairs(SplitConfig(**config)).gather(RowList(rows))
    return list(found.rows), found


def corpus(count: int, groups: int) -> list[Row]:
    return [
        row
        for n in range(count)
        for row in pair_rows(n, kind="outcome" if n % 4 == 0 else "sibling", group=f"r::f::s{n % groups}")
    ]


@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 5), st.integers(0, 40), st.lists(st.integers(0, 59)))
@settings(max_examples=40, deadline=None)
def test_nothing_is_shared_between_splits(pairs: int, groups: int, seed: int, size: int, joined: list[int]) -> None:
    rows = corpus(pairs, groups)
    for row in rows:
        if int(row["pair_id"][-5:]) in joined:  # these pairs all show one trajectory
            row["trajectory_pos" if row["direction"] == "forward" else "trajectory_neg"] = "shared"
    out, _ = run(rows, validation=size, probe=size, seed=seed, max_share=0.4)
    assert [row["id"] for row in out] == [row["id"] for row in rows]
    seen: dict[str, str] = {}
    for row in out:
        for member in (row["group"], row["trajectory_pos"], row["trajectory_neg"], row["pair_id"]):
            assert seen.setdefault(member, row["split"]) == row["split"]
    for split in ("validation", "probe"):
        assert sum(row["split"] == split for row in out) <= min(size, 0.4 * len(rows))


def test_small_sets_give_at_most_a_tenth_and_every_split_is_balanced() -> None:
    _, found = run(corpus(150, 75))
    notes = found.notes["splits"]
    assert (notes["train"]["rows"], notes["validation"]["rows"], notes["probe"]["rows"]) == (244, 28, 28)
    for split in notes.values():
        assert all(one["low"] <= 0.5 <= one["high"] for one in split["baselines"])
        assert 0.6 < split["kinds"]["sibling"] / split["rows"] < 0.9
    assert found.notes["message"] == "train 244, validation 28, probe 28"


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = corpus(80, 40)
    shuffled = random.Random(1).sample(rows, len(rows))
    first, second = ({row["id"]: row["split"] for row in run(part)[0]} for part in (rows, shuffled))
    assert first == second
    assert first != {row["id"]: row["split"] for row in run(rows, seed=1)[0]}


def test_one_group_only_goes_to_train_and_says_so() -> None:
    out, found = run(corpus(40, 1))
    assert {row["split"] for row in out} == {"train"}
    assert found.notes["message"].endswith("too few independent groups for validation and probe")


def test_no_rows() -> None:
    assert run([])[0] == []


class Linked(SplitPairs):
    """Splits in which some trajectories are nearly the same, in chains of at most so many rows."""

    def __init__(self, config: SplitConfig, linked: list[tuple[int, int]], chain: int) -> None:
        super().__init__(config)
        self.linked, self.chain = linked, chain

    def links(self, rows: Any) -> list[tuple[str, str]]:
        return [(f"context trajectory-{one}", f"context trajectory-{other}") for one, other in self.linked]

    def largest(self, rows: int) -> int:
        return self.chain


@given(
    st.integers(4, 60),
    st.lists(st.tuples(st.integers(0, 119), st.integers(0, 119)), max_size=60),
    st.integers(0, 40),
    st.integers(0, 40),
)
@settings(max_examples=40, deadline=None)
def test_what_is_nearly_the_same_never_stands_in_two_splits(
    pairs: int, linked: list[tuple[int, int]], chain: int, size: int
) -> None:
    rows = corpus(pairs, pairs)
    config = SplitConfig(validation=size, probe=size, max_share=0.4)
    found = Linked(config, linked, chain).gather(RowList(rows))
    out = list(found.rows)
    split_of = {row[f"trajectory_{side}"]: row["split"] for row in out for side in ("pos", "neg")}
    for one, other in linked:
        splits = {split_of.get(f"trajectory-{number}") for number in (one, other)} - {None}
        assert len(splits) <= 1
    assert sorted(row["id"] for row in rows) == sorted([*(row["id"] for row in out), *found.dropped])
    assert all(sum(row["pair_id"] == kept["pair_id"] for row in out) == 2 for kept in out)
    if chain >= 2 * pairs:
        assert not found.dropped
