"""The choice prompt shows both contexts, in the order on record."""

from __future__ import annotations

from factories import pair_rows
from view_sets import image_pair_rows

from contextrl_data.stages.prompt import (
    INSTRUCTION,
    choice_prompt,
    correct_option,
    image_choice_prompt,
    option_images,
    transcript,
)


def test_the_two_directions_differ_in_nothing_but_the_answer() -> None:
    forward, reverse = pair_rows(3)
    first, second = choice_prompt(forward), choice_prompt(reverse)
    assert first.split("<option_A>")[1] == second.split("<option_A>")[1]
    assert first != second
    assert {forward["correct_option"], reverse["correct_option"]} == {"A", "B"}
    assert first.endswith(INSTRUCTION)


def test_the_order_follows_the_record_unless_overruled() -> None:
    row = pair_rows(2)[0]
    right = transcript(row["context_pos"])
    for asked in (True, False):
        text = choice_prompt(row, correct_first=asked)
        assert right in text.split(f"<option_{correct_option(asked)}>")[1].split("</option_")[0]
    assert choice_prompt(row) == choice_prompt(row, correct_first=row["correct_first"])


def test_the_two_directions_of_an_image_pair_show_the_same_images_in_the_same_places() -> None:
    forward, reverse = image_pair_rows(3)
    assert [image["bytes"] for image in option_images(forward)] == [image["bytes"] for image in option_images(reverse)]
    first, second = image_choice_prompt(forward), image_choice_prompt(reverse)
    assert first != second
    assert first.replace(f"\n{forward['answer']}\n</", "") == second.replace(f"\n{reverse['answer']}\n</", "")
    assert {forward["correct_option"], reverse["correct_option"]} == {"A", "B"}
    assert first == f"{image_choice_prompt(forward, instruction='')}\n{INSTRUCTION}"
