"""Tasks as TRL reads them."""

from __future__ import annotations

from contextrl_data.stages.train.tasks import as_messages


def test_a_suffix_stands_behind_the_prompt_in_whatever_form_that_is() -> None:
    shown = [{"type": "image"}, {"type": "text", "text": "Which?"}]
    for prompt, said in (
        ("Which?", "Which?\nBe brief."),
        ([{"role": "user", "content": "Which?"}], "Which?\nBe brief."),
        ([{"role": "user", "content": shown}], [*shown, {"type": "text", "text": "\nBe brief."}]),
    ):
        assert as_messages(prompt, "Be brief.") == [{"role": "user", "content": said}]
    assert len(shown) == 2, "the dataset's own row is left alone"
