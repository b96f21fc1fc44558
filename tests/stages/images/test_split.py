"""No two splits hold nearly the same picture, whether twins are few or chain everything together."""

from __future__ import annotations

import io
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PIL")
pytest.importorskip("imagehash")

from image_rows import Table, image_id
from PIL import Image, ImageDraw

from contextrl_data.pipeline.stage import Context, Gathered, Row
from contextrl_data.stages.audit.config import DuplicateConfig
from contextrl_data.stages.audit.duplicates import twins_among
from contextrl_data.stages.audit.picture import outline
from contextrl_data.stages.images.rows import IMAGE_PAIR
from contextrl_data.stages.images.split import ImageSplitConfig, SplitImages
from contextrl_data.stages.splits import SplitPairs

TWINS = DuplicateConfig()


def drawn(family: int, step: int) -> bytes:
    """A picture of a family; two steps of one family look nearly the same, far steps less so."""
    rng = random.Random(family)
    image = Image.new("RGB", (320, 320), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        left, top = rng.randrange(280), rng.randrange(280)
        draw.rectangle(
            (left, top, left + rng.randrange(20, 140), top + rng.randrange(20, 140)), fill=rng.randrange(200)
        )
    draw.point((step % 300, step // 300), fill="red")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def pair_of(number: int, pictures: tuple[bytes, bytes]) -> list[Row]:
    """Both directions of a pair that shares no scene and no picture with any other."""
    base: Row = {field.name: None for field in IMAGE_PAIR}
    base |= {"pair_id": f"p{number:04}", "group": f"scene-{number}", "domain": "natural", "method": "mined"}
    rows = []
    for direction, (pos, neg) in enumerate((pictures, pictures[::-1])):
        more = {"id": f"p{number:04}-{direction}", "blind_scores": [{"name": "first", "value": float(direction)}]}
        sides = {"image_pos": {"bytes": pos}, "image_neg": {"bytes": neg}}
        rows.append({**base, **more, **sides, "image_id_pos": image_id(pos), "image_id_neg": image_id(neg)})
    return rows


def corpus(families: int, members: int) -> list[Row]:
    """Pairs of pictures of two families each; pictures of one family are twins."""
    numbers = [(family, member) for family in range(families) for member in range(members)]
    return [
        row
        for place, (family, member) in enumerate(numbers)
        for row in pair_of(place, (drawn(2 * family, member), drawn(2 * family + 1, member)))
    ]


def split(rows: list[Row], **config: Any) -> tuple[list[Row], Gathered]:
    stage = SplitImages(ImageSplitConfig(**{"max_share": 0.4, **config}), TWINS)
    stage.open(Context(Path()))
    found = stage.gather(Table(rows, IMAGE_PAIR))
    return list(found.rows), found


def across(rows: list[Row]) -> list[tuple[str, str]]:
    """Twins that stand in two splits, found as the audit finds them."""
    split_of = {row[f"image_id_{side}"]: row["split"] for row in rows for side in ("pos", "neg")}
    data = {row[f"image_id_{side}"]: row[f"image_{side}"]["bytes"] for row in rows for side in ("pos", "neg")}
    twins = twins_among([outline(one, key) for key, one in data.items()], TWINS)
    return [(one, other) for one, other in twins if split_of[one] != split_of[other]]


def test_twins_keep_their_pairs_in_one_split() -> None:
    rows = corpus(30, 2)
    apart = list(SplitPairs.gather(_WithoutTwins(), Table(rows, IMAGE_PAIR)).rows)
    assert across(apart)  # without looking at the pictures, twins are torn apart
    out, found = split(rows, probe=24, validation=24)
    assert not across(out)
    assert Counter(row["split"] for row in out) == {"train": 72, "probe": 24, "validation": 24}
    assert not found.dropped
    assert found.notes["near_duplicates"]["links"] >= 60
    assert found.notes["largest_components"][0] == 4


def test_a_chain_through_everything_is_cut_and_costs_as_few_pairs_as_possible() -> None:
    rows = corpus(1, 40)
    out, found = split(rows, probe=8, validation=8)
    assert not across(out)
    assert found.notes["near_duplicates"]["cut"] > 0
    assert found.notes["largest_components"] == [24, 24, 24, 8]
    assert set(found.dropped.values()) == {"nearly the same as a pair of another split"}
    assert len(out) + len(found.dropped) == len(rows)
    assert (len(found.dropped), {row["split"] for row in out}) == (8, {"train"})  # not the 72 that they are near to
    assert set(Counter(row["pair_id"] for row in out).values()) == {2}


def test_the_bounds_are_the_audits_and_part_of_the_key() -> None:
    stage = SplitImages(ImageSplitConfig(), TWINS)
    other = SplitImages(ImageSplitConfig(), DuplicateConfig(image_distance=0))
    assert stage.fingerprint() != other.fingerprint()
    rows = corpus(3, 2)
    other.open(Context(Path()))
    assert len(other.links(Table(rows, IMAGE_PAIR))) <= 6


class _WithoutTwins(SplitImages):
    def __init__(self) -> None:
        super().__init__(ImageSplitConfig(probe=24, validation=24, max_share=0.4), TWINS)

    def links(self, rows: Any) -> list[tuple[str, str]]:
        return []
