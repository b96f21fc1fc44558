"""Rewards."""

from __future__ import annotations

import pytest

from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.stages.train.rewards import SELECTION, find_function, matches, not_on_choices, qa, selection_reward


@pytest.mark.parametrize(
    ("said", "expected", "kind", "right"),
    [
        ("<think>x</think><answer>The Eiffel Tower.</answer>", "eiffel tower", "exact", True),
        ("Answer: Paris", "Lyon", "exact", False),
        ("so \\boxed{1,250}", "1250", "numeric", True),
        ("It is 3.0", "3", "auto", True),
        ("1/4", "0.25", "numeric", True),
        ("It is 31", "3", "auto", False),
        ("I choose (B)", "B", "auto", True),
        ("A bad one, so C", "A", "choice", False),
        ("", "", "exact", False),
        ("no number", "7", "numeric", False),
    ],
)
def test_answers_are_compared_by_their_kind(said: str, expected: str, kind: str, right: bool) -> None:
    assert matches(said, expected, kind) is right


def test_qa_is_nine_tenths_accuracy_and_one_tenth_form() -> None:
    formed = "<think>2+2</think> <answer>4</answer>"
    said = [formed, "4", formed.replace("4", "5"), "5"]
    completions = [[{"role": "assistant", "content": s}] for s in said]
    assert qa(completions, ["4"] * 4, reward=["numeric"] * 4) == pytest.approx([1.0, 0.9, 0.1, 0.0])


def test_selection_scores_choices_only_and_the_others_score_the_rest() -> None:
    completions = ["A, no: B", "A", "BAD", "4"]
    columns = {"answer": ["B", "B", "A", "4"], "reward": [SELECTION] * 3 + ["numeric"]}
    assert selection_reward(("A", "B"))(completions=completions, **columns) == [1.0, 0.0, 0.0, None]
    assert not_on_choices(qa)(completions, **columns) == [None, None, None, pytest.approx(0.9)]


def test_a_reward_by_import_path() -> None:
    assert find_function("tiny_training:share_said").__name__ == "share_said"
    with pytest.raises(ConfigError, match="use qa, accuracy, form"):
        find_function("bleu")
    with pytest.raises(ConfigError, match="cannot import"):
        find_function("nowhere.at_all:reward")
