"""Proposals from fact sheets: the words name the fact, and the answer is that of the changed sheet."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.images.answers import differ, meaning
from contextrl_data.stages.images.propose import proposer
from contextrl_data.stages.images.propose_facts import FactsProposeConfig
from contextrl_data.stages.images.rendered import Render, RenderConfig
from contextrl_data.stages.images.sources.catalogue import NAMES
from contextrl_data.stages.images.sources.wording import told


def proposals(name: str, count: int = 4, **settings: Any) -> list[tuple[Row, Any]]:
    render = Render(RenderConfig(questions=2))
    made = [render.process({"id": f"{name}-{n:06}", "renderer": name, "domain": ""}) for n in range(count)]
    stage = proposer(FactsProposeConfig(kind="facts", **settings))
    rows = [row for outcome in made if isinstance(outcome, Keep) for row in outcome.rows]
    return [(row, stage.process(row)) for row in rows]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_every_renderer_can_say_what_to_change(name: str) -> None:
    found = proposals(name)
    kept = [(row, outcome.rows[0]) for row, outcome in found if isinstance(outcome, Keep)]
    assert len(kept) >= len(found) / 2, [outcome for _, outcome in found if isinstance(outcome, Drop)]
    for row, made in kept:
        assert differ(meaning(row["answer"]), meaning(made["answer_neg"]))
        assert made["answer_neg"] in row["choices"] or not row["choices"]
        assert made["instruction"].endswith("Keep everything else exactly as it is.")
        assert made["proposer"] == "facts"
        x0, y0, x1, y1 = made["region"]
        assert 0 <= x0 < x1
        assert 0 <= y0 < y1
    assert proposals(name, 1)[0] == found[0]


SCENE = {"objects": [{"shape": "car", "colour": "red", "size": "small", "cell": 7, "shift": [0, 0]},
                     {"shape": "tree", "colour": "blue", "size": "large", "cell": 12, "shift": [0, 0]}]}  # fmt: skip
CAR, TREE = SCENE["objects"]


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        ("clock", {"hour": 0, "minute": 5}, {"hour": 3, "minute": 5}, "shows 3:05 instead of 12:05"),
        ("scene", SCENE, {"objects": [TREE]}, "Remove the small red car (row 2 of 4 from the top, column 3 of 5"),
        ("scene", SCENE, {"objects": [{**CAR, "colour": "green"}, TREE]}, "into a small green car."),
        ("scene", SCENE, {"objects": [{**CAR, "cell": 3}, TREE]}, "to another place: (row 1 of 4"),
        ("instrument", {"kind": "dial", "reading": 3}, {"kind": "dial", "reading": 9}, "shows 9 V instead of 3"),
        ("grid_polygon", {"points": [[0, 2], [5, 5], [3, 0]]}, {"points": [[0, 2], [4, 6], [3, 0]]},
         "vertex B from (5, 5) to (4, 6)"),
        ("function_plot", {"kind": "parabola", "numbers": [1, 3, -4]}, {"kind": "parabola", "numbers": [1, -2, -4]},
         "the graph of y = 1 · (x + 2)² - 4 in the place of the graph of y = 1 · (x - 3)² - 4"),
        ("food_web", {"arrows": [["oak", "deer"]]}, {"arrows": [["fern", "deer"]]},
         "Remove the arrow from oak to deer and draw an arrow from fern to deer."),
        ("receipt", {"cash": True, "date": "1", "items": [["Tea", 1, 250]]},
         {"cash": True, "date": "1", "items": [["Tea", 3, 250]]}, 'Change "1 x Tea" into "3 x Tea", its amount from 2.50 to'),
        ("circle", {"kind": "chord", "measures": [3, 4], "unit": "m"}, {"kind": "chord", "measures": [3, 5], "unit": "m"},
         'Replace the label "8 m" by "10 m".'),
    ],
)  # fmt: skip
def test_the_words_say_what_has_changed(name: str, before: Any, after: Any, words: str) -> None:
    said = told(name, before, after)
    assert said is not None
    assert words in said


def test_where_two_labels_are_alike_words_would_not_tell_which() -> None:
    square = {"kind": "rectangle", "measures": [5, 5], "unit": "cm"}
    assert told("quadrilateral", square, {**square, "measures": [5, 7]}) is None


def test_what_was_not_drawn_here_and_what_the_lot_leaves_out() -> None:
    [(row, _), *_] = proposals("clock", 1)
    stage: Any = proposer(FactsProposeConfig(kind="facts"))
    assert stage.process({**row, "renderer": "", "facts": ""}) == Drop("no fact sheet")
    fates = [outcome for _, outcome in proposals("clock", 20, share=0.3)]
    left = sum(outcome == Drop("not drawn by lot") for outcome in fates)
    assert 0 < len(fates) - left < len(fates) / 2
