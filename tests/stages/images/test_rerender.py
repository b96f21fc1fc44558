"""Scenes -> questions -> twins: seeds by id, answers that follow from the facts, and a box that holds every change."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

import orjson
from PIL import Image, ImageChops

from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.images.rendered import Render, RenderConfig, Scenes, ScenesConfig
from contextrl_data.stages.images.rerender import Rerender, RerenderConfig, difference, unchanged_outside
from contextrl_data.stages.images.sources.catalogue import DOMAINS, NAMES, renderer


def scenes(**settings: Any) -> list[Row]:
    return [
        row
        for _, outcome in Scenes(ScenesConfig(**settings)).items()
        if isinstance(outcome, Keep)
        for row in outcome.rows
    ]


def questions(name: str, count: int = 6, **settings: Any) -> list[Row]:
    stage = Render(RenderConfig(**settings))
    found = [stage.process({"id": f"{name}-{n:06}", "renderer": name, "domain": ""}) for n in range(count)]
    return [row for outcome in found if isinstance(outcome, Keep) for row in outcome.rows]


def opened(row: Row) -> Image.Image:
    return Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")


def test_the_scenes_have_the_papers_shares() -> None:
    counts = Counter(row["domain"] for row in scenes(images=1000))
    assert abs(counts["geometry"] - 460 / 0.99) < 2
    assert {domain: round(100 * count / counts.total()) for domain, count in counts.items()} == {
        "geometry": 46,
        "math": 17,
        "natural": 13,
        "chart": 12,
        "science": 11,
    }
    assert {row["renderer"] for row in scenes(images=1000)} == set(NAMES)


def test_only_some_renderers_and_a_wrong_name() -> None:
    assert {row["renderer"] for row in scenes(images=40, only=("clock", "scene"))} == {"clock", "scene"}
    with pytest.raises(ConfigError, match=r"scenes\.only names klock"):
        ScenesConfig(only=("klock",))
    with pytest.raises(ConfigError, match="no renderer has a share"):
        ScenesConfig(only=("clock",), shares={"chart": 1.0})


def test_more_scenes_leave_the_first_ones_as_they_are() -> None:
    assert {row["id"] for row in scenes(images=100)} < {row["id"] for row in scenes(images=200)}
    assert questions("scene", 3) == questions("scene", 5)[: len(questions("scene", 3))]


def test_another_seed_draws_other_pictures() -> None:
    assert questions("scene", 2)[0]["image_id"] != questions("scene", 2, seed=1)[0]["image_id"]


@pytest.mark.parametrize("name", NAMES)
def test_a_twin_differs_in_its_box_alone_and_in_its_answer(name: str) -> None:
    rows = questions(name)
    outcomes = [Rerender(RerenderConfig(share=1.0, max_changed=1.0)).process(row) for row in rows]
    pairs = [pair for outcome in outcomes if isinstance(outcome, Keep) for pair in outcome.rows]
    assert len(pairs) >= len(rows) // 2
    for pair in pairs:
        first, second = pair["first"], pair["second"]
        assert first["question"] == second["question"]
        assert first["question_group"] == second["question_group"]
        assert first["answer"] != second["answer"]
        assert first["scene"] == second["scene"]
        one, other = opened(first), opened(second)
        assert ImageChops.difference(one, other).getbbox() == tuple(pair["box"])
        assert all(check["passed"] for check in pair["checks"])
        for side in (first, second):
            asked = {one.text: one.answer for one in renderer(name).ask(orjson.loads(side["facts"]))}
            assert asked[side["question"]] == side["answer"], "the answer follows from the fact sheet on record"
            assert renderer(name).draw(orjson.loads(side["facts"])).tobytes() == opened(side).tobytes()


def test_the_same_row_gives_the_same_twin_and_the_lot_is_drawn_by_id() -> None:
    rows = questions("clock", 20)
    stage = Rerender(RerenderConfig(share=0.5))
    first, second = [stage.process(row) for row in rows], [stage.process(row) for row in reversed(rows)]
    assert first == second[::-1]
    drawn = sum(isinstance(outcome, Keep) for outcome in first)
    assert 8 <= drawn <= 32
    assert all(isinstance(one, Keep) or one == Drop("not drawn by lot") for one in first)


def test_pictures_of_others_have_no_twin() -> None:
    row = {**questions("clock", 1)[0], "renderer": ""}
    assert Rerender(RerenderConfig()).process(row) == Drop("not drawn here")


def test_a_change_of_too_many_pixels_is_refused() -> None:
    rows = questions("pie_chart", 8)
    outcomes = [Rerender(RerenderConfig(share=1.0, max_changed=0.01)).process(row) for row in rows]
    assert Drop("too many pixels differ") in outcomes


def test_a_pixel_outside_of_the_box_is_seen() -> None:
    one = Image.new("RGB", (30, 20), "white")
    other = one.copy()
    other.putpixel((4, 5), (255, 255, 254))
    other.putpixel((9, 7), (0, 0, 0))
    assert difference(one, other) == ((4, 5, 10, 8), 2 / 600)
    assert unchanged_outside(one, other, (4, 5, 10, 8))
    assert not unchanged_outside(one, other, (5, 5, 10, 8))
    assert difference(one, one) == (None, 0.0)


def test_domains_of_questions_are_those_of_their_renderers() -> None:
    for domain, names in DOMAINS.items():
        assert {row["domain"] for row in questions(names[0], 2)} == {domain}
