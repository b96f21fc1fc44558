"""L_CA of a margin: its value, and where its gradient ends."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.train.loss import ChoiceBatch, context_awareness_loss, margin_of


def gradient(margin: float, clip: float | None, mode: str) -> float:
    value = torch.tensor([margin], requires_grad=True)
    context_awareness_loss(value, clip, mode).sum().backward()
    assert value.grad is not None
    return value.grad.item()


@given(st.floats(-30, 30), st.one_of(st.none(), st.floats(0.5, 10)))
def test_it_is_minus_log_sigmoid_of_the_clipped_margin(margin: float, clip: float | None) -> None:
    cut = margin if clip is None else max(-clip, min(clip, margin))
    expected = math.log1p(math.exp(-cut)) if cut > -20 else -cut
    found = context_awareness_loss(torch.tensor([margin], dtype=torch.float64), clip).item()
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("margin", "mode", "learns"),
    [
        (1.0, "two_sided", True),
        (-1.0, "two_sided", True),
        (6.0, "two_sided", False),
        (-6.0, "two_sided", False),  # the paper's: a confidently wrong pair teaches nothing
        (6.0, "one_sided", False),
        (-6.0, "one_sided", True),
    ],
)
def test_beyond_the_clip_there_is_no_gradient(margin: float, mode: str, learns: bool) -> None:
    expected = -1 / (1 + math.exp(margin)) if learns else 0.0
    assert gradient(margin, 5.0, mode) == pytest.approx(expected, rel=1e-5)


def test_the_margin_is_the_difference_of_two_logits_whatever_the_others_are() -> None:
    logits = torch.tensor([[9.0, 1.0, 3.0], [9.0, 1.0, 3.0]])
    batch = ChoiceBatch({}, torch.tensor([2, 1]), torch.tensor([1, 2]), torch.ones(2))
    assert margin_of(logits, batch).tolist() == [2.0, -2.0]
