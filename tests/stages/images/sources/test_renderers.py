"""Every renderer: pictures are functions of their facts, answers follow, and one changed fact changes one place."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

import orjson
from PIL import ImageChops

from contextrl_data.stages.images.sources.canvas import png
from contextrl_data.stages.images.sources.catalogue import DOMAINS, NAMES, renderer
from contextrl_data.stages.images.sources.facts import Facts

SHEETS = 12


def sheets(name: str) -> list[Facts]:
    return [renderer(name).sample(random.Random(f"{name} {number}")) for number in range(SHEETS)]


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_a_function_of_a_fact_sheet_that_is_json(name: str) -> None:
    for facts in sheets(name)[:3]:
        kept = orjson.loads(orjson.dumps(facts))
        first, second = renderer(name).draw(facts), renderer(name).draw(kept)
        assert first.mode == "RGB"
        assert 100 < first.width < 700
        assert 100 < first.height < 700
        assert png(first) == png(second)
        assert renderer(name).ask(kept) == renderer(name).ask(facts)


@pytest.mark.parametrize("name", NAMES)
def test_questions_are_asked_once_and_answered(name: str) -> None:
    asked = [renderer(name).ask(facts) for facts in sheets(name)]
    assert sum(bool(some) for some in asked) >= SHEETS // 2
    for some in asked:
        assert len({one.text for one in some}) == len(some)
        for one in some:
            assert one.text.endswith("?")
            assert one.answer.strip()
            assert not one.choices or one.answer in one.choices
    answers = {one.answer for some in asked for one in some}
    assert len(answers) > 3, "a source with one answer teaches nothing"


@pytest.mark.parametrize("name", NAMES)
def test_a_change_keeps_the_size_and_turns_some_answer(name: str) -> None:
    turned = 0
    for number, facts in enumerate(sheets(name)):
        before = orjson.dumps(facts)
        answers = {one.text: one.answer for one in renderer(name).ask(facts)}
        for change in renderer(name).changes(facts, random.Random(number)):
            after = {one.text: one.answer for one in renderer(name).ask(change)}
            if any(after.get(text, answer) != answer for text, answer in answers.items()):
                turned += 1
                one, other = renderer(name).draw(facts), renderer(name).draw(change)
                assert one.size == other.size
                assert ImageChops.difference(one, other).getbbox() is not None
                break
        assert orjson.dumps(facts) == before, "a change must not touch the sheet that it was made from"
    assert turned >= SHEETS // 2


def test_every_domain_has_a_renderer_that_says_so() -> None:
    for domain, names in DOMAINS.items():
        assert {renderer(name).domain for name in names} == {domain}
    assert set(DOMAINS) == {"natural", "science", "chart", "math", "geometry"}


def test_answers_follow_from_the_facts() -> None:
    def answers(name: str, facts: Facts) -> dict[str, str]:
        return {one.text: one.answer for one in renderer(name).ask(facts)}

    right = {"kind": "right", "measures": [5, 12], "unit": "cm"}
    assert answers("triangle", right) == {
        "What is the area of the right triangle?": "30 cm²",
        "How long is the hypotenuse of the right triangle?": "13 cm",
        "What is the perimeter of the right triangle?": "30 cm",
    }
    ell = answers("quadrilateral", {"kind": "ell", "measures": [10, 9, 4, 3], "unit": "m"})
    assert ell["What is the area of the L-shaped figure?"] == "54 m²"  # 10 x 3 below, 4 x 6 above
    assert ell["What is the perimeter of the L-shaped figure?"] == "38 m"
    square = answers("grid_polygon", {"points": [[1, 1], [4, 1], [4, 5]]})
    assert square["What is the area of the triangle in square units?"] == "6"
    assert square["How long is AB in units?"] == "3"
    assert square["What is the slope of the line through A and B?"] == "0"
    sector = answers("circle", {"kind": "sector", "measures": [6, 60], "unit": "cm"})
    assert sector["What is the area of the shaded sector in terms of π?"] == "6π cm²"
    clock = answers("clock", {"hour": 11, "minute": 45})
    assert clock["What time will it be half an hour after the time shown?"] == "12:15"
    assert clock["What time was it one hour before the time shown?"] == "10:45"
    curve = answers("function_plot", {"kind": "parabola", "numbers": [-1, 2, 4]})
    assert curve["At which y does the graph cross the y-axis?"] == "0"
    assert curve["How many zeros does the function have?"] == "2"
    slip = answers("receipt", {"items": [["Milk", 2, 119], ["Tea", 1, 275]], "cash": True, "date": "01.02.2020"})
    assert slip["What is the total on the receipt?"] == "5.13"
    assert slip["How much change was given?"] == "4.87"


def test_a_bar_that_is_hardly_higher_is_not_asked_about() -> None:
    facts = {"names": ["a", "b", "c"], "values": [10.0, 10.2, 5.0], "limit": 12.0, "labels": False}
    assert [one.text for one in renderer("bar_chart").ask(facts)] == [
        "Which bar is the lowest?",
        "Is the bar for b higher than the bar for c?",
    ]
