"""Which pairs a step sees."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.train.config import ContrastConfig
from contextrl_data.stages.train.sampler import PairStream, Plan

IDS = [f"pair-{i}" for i in range(50)]


@given(start=st.integers(0, 500), count=st.integers(1, 40), slots=st.integers(1, 9))
def test_slots_share_out_exactly_the_steps_pairs(start: int, count: int, slots: int) -> None:
    stream = PairStream(IDS, seed=3)
    shares = [stream.slot(start, count, slot, slots) for slot in range(slots)]
    assert len({len(share) for share in shares}) == 1, "every device must run equally many forward passes"
    drawn = [(d.index, d.flipped) for share in shares for d in share if d.weight]
    assert drawn == [(d.index, d.flipped) for d in map(stream.at, range(start, start + count))]


def test_every_pair_once_in_a_pass_and_orders_drawn_anew() -> None:
    stream = PairStream(IDS, seed=0)
    passes = [[stream.at(epoch * 50 + i) for i in range(50)] for epoch in range(6)]
    for drawn in passes:
        assert sorted(d.index for d in drawn) == list(range(50))
    assert [d.index for d in passes[0]] != [d.index for d in passes[1]]
    flips = Counter(d.index for drawn in passes for d in drawn if d.flipped)
    assert 0 < sum(flips.values()) < 300
    assert any(0 < flips[i] < 6 for i in range(50)), "a pair's order changes between passes"


def test_a_pairs_order_does_not_depend_on_its_neighbours() -> None:
    whole, half = PairStream(IDS, 7), PairStream(IDS[:25], 7)
    order = {IDS[d.index]: d.flipped for d in map(whole.at, range(50))}
    assert all(order[IDS[d.index]] == d.flipped for d in map(half.at, range(25)))


def test_shares_and_weights_move_linearly() -> None:
    config = ContrastConfig(share=0.1, share_end=0.5, weight=0.0, weight_end=1.0)
    plan = Plan(config, prompts_per_step=9, steps=11)
    assert (plan.pairs(0), plan.pairs(10)) == (1, 9)
    assert [round(plan.weight(step), 3) for step in (0, 5, 10)] == [0.0, 0.5, 1.0]
    assert plan.total == sum(plan.pairs(step) for step in range(11))
    assert plan.start(4) == sum(plan.pairs(step) for step in range(4))


def test_every_and_warmup() -> None:
    plan = Plan(ContrastConfig(every=3, pairs_per_step=4, weight=1.0, warmup_steps=3), 8, 9)
    assert [plan.pairs(step) for step in range(6)] == [4, 0, 0, 4, 0, 0]
    assert [plan.weight(step) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
