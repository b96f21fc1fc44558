"""The options' tokens are found behind whatever stands before them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_training import build_tokenizer

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.train.config import PairsConfig
from contextrl_data.stages.train.options import find_options
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs, chat_prefix, choice_conversation


def test_the_label_follows_the_generation_prompt() -> None:
    tokenizer = build_tokenizer()
    found = find_options(tokenizer, ("A", "B"), {})
    assert found.texts == ("A", "B")
    assert tokenizer.convert_ids_to_tokens(list(found.ids)) == ["A", "B"]


def test_behind_a_prefix_the_label_with_its_space_is_preferred() -> None:
    tokenizer = build_tokenizer()  # knows " 3" and " 5" as tokens, but no " A"
    assert find_options(tokenizer, ("3", "5"), {}, "which is").texts == (" 3", " 5")
    assert find_options(tokenizer, ("A", "B"), {}, "which is").texts == ("A", "B")
    with pytest.raises(InputError, match=r"or another pairs\.answer_prefix"):  # its space would melt into the label
        find_options(tokenizer, ("3", "5"), {}, "which is ")


@pytest.mark.parametrize("labels", [("A", "Both"), ("<|im_end|>x", "B")])
def test_a_label_of_several_tokens_is_refused_by_its_name(labels: tuple[str, str]) -> None:
    bad = next(label for label in labels if len(label) > 1)
    with pytest.raises(InputError, match=r"option .* is not a single token .* — choose other pairs\.labels") as caught:
        find_options(build_tokenizer(), labels, {})
    assert repr(bad) in str(caught.value)


def test_the_token_before_the_answer_is_the_last_of_every_row(pairs: Path) -> None:
    tokenizer = build_tokenizer()
    config = PairsConfig(dataset=str(pairs), answer_prefix="which is")
    rows = list(Pairs.load(config, "train", 8))
    rows[0]["question"] = "Which? " * 20
    options = find_options(tokenizer, config.labels, {}, config.answer_prefix)
    batch = ChoiceCollator(tokenizer, config, options)(rows, [False] * 8, [1.0] * 8)
    for row, ids, mask in zip(rows, batch.inputs["input_ids"], batch.inputs["attention_mask"], strict=True):
        messages, _ = choice_conversation(row, config, flipped=False)
        text = chat_prefix(tokenizer, messages, {}, config.answer_prefix)
        assert ids[mask.bool()].tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert mask[-1] == 1, "padding on the left"
    assert batch.inputs["attention_mask"].min() == 0
