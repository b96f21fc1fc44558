"""The check that belongs to the views, under each trainer's signature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.views.rewards import easyr1_score, score, trl_reward, verl_score


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("A", "A"),
        (" B.\n", "B"),
        ("**A**", "A"),
        ("(B)", "B"),
        ("First I thought of A, but it is B", "B"),
        ("<think>A, A, A</think>\nB", "B"),
        ("<think>B</think><answer>A</answer>, not B", "A"),
        (r"\boxed{A} since B is cut", "A"),
        ("BAD AB a b", ""),
        ("a", ""),
        ("", ""),
    ],
)
def test_the_letter_that_counts(said: str, right: str) -> None:
    assert {letter for letter in "AB" if score(said, letter)} == set(right)


def test_an_answer_in_words() -> None:
    assert score("<answer> Dark  Blue. </answer>", "dark blue") == 1.0
    assert score("dark blue it is", "dark blue") == 0.0
    assert score("The answer is \\boxed{42}", "42") == 1.0


@given(st.text(max_size=60), st.text(max_size=10))
def test_any_text_gets_a_score(said: str, expected: str) -> None:
    assert score(said, expected) in (0.0, 1.0)
    assert score(f"<answer>{expected}</answer>", expected) == 1.0 or "</answer>" in expected or "</think>" in expected


def test_every_signature_gives_the_same_score() -> None:
    said, right = ["A", "it is B", "none"], ["A", "A", "B"]
    wanted = [1.0, 0.0, 0.0]
    assert trl_reward(said, right, prompts=[], trainer_state=None) == wanted
    assert trl_reward([[{"role": "assistant", "content": one}] for one in said], right) == wanted
    assert [
        verl_score("contextrl-data/choice", *pair, extra_info={}) for pair in zip(said, right, strict=True)
    ] == wanted
    inputs = [
        {"response": one, "response_length": 1, "ground_truth": letter} for one, letter in zip(said, right, strict=True)
    ]
    assert [one["overall"] for one in easyr1_score(inputs)] == wanted
    assert easyr1_score(inputs[0]) == {"overall": 1.0, "accuracy": 1.0}
