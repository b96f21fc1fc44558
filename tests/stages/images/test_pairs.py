"""From candidates to directed pairs: what the rules refuse, and what a blind reader sees."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from bad_pictures import encoded, picture
from PIL import Image

from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.images.blind import FEATURES, Look, blind_image_scores
from contextrl_data.stages.images.directed import ImageDirect, ImageDirectConfig
from contextrl_data.stages.images.judge import ImageRules, ImageRulesConfig
from contextrl_data.stages.images.rendered import Render, RenderConfig
from contextrl_data.stages.images.rerender import Rerender, RerenderConfig


@pytest.fixture(scope="module")
def candidate() -> Row:
    [row] = _kept(
        Render(RenderConfig(questions=1)).process({"id": "scene-000001", "renderer": "scene", "domain": "natural"})
    )
    [pair] = _kept(Rerender(RerenderConfig(share=1.0)).process(row))
    return pair


def _kept(outcome: Any) -> list[Row]:
    assert isinstance(outcome, Keep), outcome
    return outcome.rows


def judged(candidate: Row, config: ImageRulesConfig | None = None, **second: Any) -> Any:
    return ImageRules(config or ImageRulesConfig()).process({**candidate, "second": {**candidate["second"], **second}})


def test_a_sound_pair_is_valid(candidate: Row) -> None:
    [row] = _kept(judged(candidate))
    assert (row["verdict"], row["judge"]) == ("VALID", "rules")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "SAME"}, "ambiguous label"),
        ({"choices": ["nothing", "else"]}, "answer is no choice"),
        ({"image": {"bytes": b"\x89PNG", "path": None}}, "image does not decode"),
        ({"image": {"bytes": encoded(picture(random.Random(1))), "path": None}}, "format difference"),
    ],
)
def test_a_flaw_is_a_drop_with_its_reason(candidate: Row, changes: dict[str, Any], reason: str) -> None:
    if changes.get("answer") == "SAME":
        changes = {"answer": candidate["first"]["answer"].upper() + "."}
    assert judged(candidate, **changes) == Drop(f"judged invalid: {reason}")


def test_the_same_pixels_in_other_bytes_are_the_same_picture(candidate: Row) -> None:
    again = io.BytesIO()
    Image.open(io.BytesIO(candidate["first"]["image"]["bytes"])).save(again, "BMP")
    found = judged(candidate, image={"bytes": again.getvalue(), "path": None}, image_id="another")
    assert found == Drop("judged invalid: same picture")


def test_a_failed_check_is_refused_and_a_doubt_is_kept_only_when_asked(candidate: Row) -> None:
    failed = {**candidate, "checks": [{"name": "x", "passed": False, "detail": ""}]}
    assert ImageRules(ImageRulesConfig()).process(failed) == Drop("judged invalid: a check failed")
    assert judged(candidate, question="Another one?") == Drop("judged uncertain: questions differ")
    [row] = _kept(judged(candidate, ImageRulesConfig(uncertain="keep"), question="Another one?"))
    assert row["verdict"] == "UNCERTAIN"


def test_both_directions_show_each_picture_once_as_right_and_once_as_wrong(candidate: Row) -> None:
    [row] = _kept(judged(candidate))
    forward, reverse = _kept(ImageDirect(ImageDirectConfig()).process(row))
    assert forward["image_pos"] == candidate["first"]["image"] == reverse["image_neg"]
    assert forward["answer"] == candidate["first"]["answer"] == reverse["answer_neg"]
    assert forward["question"] == reverse["question"]
    assert forward["correct_first"] != reverse["correct_first"], "one picture is always shown first: no place is a cue"
    assert (forward["correct_option"] == "A") == forward["correct_first"]
    for name in (*FEATURES, "first"):
        scores = [{one["name"]: one["value"] for one in side["blind_scores"]}[name] for side in (forward, reverse)]
        assert sum(scores) == 1.0


def test_blind_features_are_what_they_are_called() -> None:
    def look(made: Image.Image) -> Look:
        return Look.at(encoded(made))

    plain = Image.new("RGB", (60, 50), "white")
    dotted = plain.copy()
    for place in range(0, 50, 5):
        dotted.putpixel((place, place), (200, 0, 0))
    larger = Image.new("RGB", (80, 50), "white")
    scores = {one["name"]: one["value"] for one in blind_image_scores(look(dotted), look(plain), True)}
    assert scores == {
        "larger_file": 1.0,
        "larger_picture": 0.5,
        "brighter": 0.0,
        "more_ink": 1.0,
        "sharper": 1.0,
        "more_colours": 1.0,
        "first": 1.0,
    }
    assert {one["name"]: one["value"] for one in blind_image_scores(look(larger), look(plain), False)}[
        "larger_picture"
    ] == 1
    assert Look.at(encoded(Image.new("L", (1, 1)))).values["sharper"] == 0
