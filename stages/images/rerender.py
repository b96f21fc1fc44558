"""Re-render: change one fact so that the answer turns, draw again, and prove that nothing else has changed.

The region that decides is the smallest box around all pixels that differ. Both answers are computed from the facts,
so a pair needs nobody's opinion.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, TypeAlias

import orjson
from pydantic import Field

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig, seed_of
from contextrl_data.stages.images.rendered import library_versions, question_rows
from contextrl_data.stages.images.rows import IMAGE_CANDIDATE
from contextrl_data.stages.images.sources.catalogue import renderer
from contextrl_data.stages.images.sources.facts import Asked, Facts

if TYPE_CHECKING:
    from PIL import Image

Box: TypeAlias = tuple[int, int, int, int]


class RerenderConfig(StageConfig):
    """Which questions get a twin, and how far the twin may go."""

    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the questions that get a twin, drawn by their ids."""
    tries: int = Field(default=120, ge=1)
    """How many changed fact sheets to look at until one turns the answer."""
    max_changed: float = Field(default=0.4, gt=0, le=1)
    """Largest share of the pixels that may differ."""
    seed: int = 0
    """Draws the questions and the changes."""


class Rerender(Map[RerenderConfig]):
    """QUESTION -> IMAGE_CANDIDATE of method `rerendered`; questions about pictures that were not drawn here are dropped."""

    name = "rerender"
    schema = IMAGE_CANDIDATE
    work = "process"

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Drawn by lot."""
        return Outlook(rows * self.config.share)

    def fingerprint(self) -> str:
        """See `Render.fingerprint`."""
        return library_versions()

    def process(self, row: Row) -> Outcome:
        """Find the change, draw the twin, compare."""
        if not row["renderer"]:
            return Drop("not drawn here")
        rng = Random(seed_of(self.config.seed, row["id"], "twin"))
        if rng.random() >= self.config.share:
            return Drop("not drawn by lot")
        facts = orjson.loads(row["facts"])
        found = turn(row["renderer"], facts, row["question"], row["answer"], self.config.tries, rng)
        if found is None:
            return Drop("no single fact turns the answer")
        twin = question_rows(row["renderer"], row["scene"], found[0], [found[1]])[0]
        twin["id"] = f"{row['id']}-twin"
        if set(twin["choices"]) != set(row["choices"]):
            return Drop("the change alters the choices")
        return self._compare(row, twin)

    def _compare(self, row: Row, twin: Row) -> Outcome:
        one, other = _open(row), _open(twin)
        if one.size != other.size:
            return Drop("the change alters the size")
        box, share = difference(one, other)
        if box is None:
            return Drop("the change cannot be seen")
        if share > self.config.max_changed:
            return Drop("too many pixels differ")
        area = (box[2] - box[0]) * (box[3] - box[1]) / (one.width * one.height)
        scores = {"changed_pixels": share, "box_area": area}
        same = unchanged_outside(one, other, box)
        return Keep(
            [
                {
                    "id": f"rerendered-{row['id']}",
                    "method": "rerendered",
                    "first": row,
                    "second": twin,
                    "box": list(box),
                    "similarity": None,
                    "scores": [{"name": name, "value": value} for name, value in scores.items()],
                    "checks": [
                        {"name": "both answers computed from the facts", "passed": True, "detail": ""},
                        {"name": "pixels outside of the box unchanged", "passed": same, "detail": ""},
                    ],
                }
            ]
        )


def turn(name: str, facts: Facts, question: str, answer: str, tries: int, rng: Random) -> tuple[Facts, Asked] | None:
    """The first of so many changed fact sheets under which the same question has another answer."""
    draw = renderer(name)
    for change in islice(draw.changes(facts, rng), tries):
        for one in draw.ask(change):
            if one.text == question and one.answer != answer:
                return change, one
    return None


def difference(one: Image.Image, other: Image.Image) -> tuple[Box | None, float]:
    """The box around all pixels that differ, and their share of the picture; pictures of one size and mode."""
    from PIL import ImageChops

    bands = ImageChops.difference(one, other).split()
    union = bands[0]
    for band in bands[1:]:
        union = ImageChops.lighter(union, band)
    differing = sum(union.histogram()[1:])
    return union.getbbox(), differing / (one.width * one.height)


def unchanged_outside(one: Image.Image, other: Image.Image, box: Box) -> bool:
    """Whether both are the same to the pixel once the box is painted over."""
    from PIL import ImageChops

    covered = [picture.copy() for picture in (one, other)]
    for picture in covered:
        picture.paste((0, 0, 0), box)
    return ImageChops.difference(*covered).getbbox() is None


def _open(row: Row) -> Image.Image:
    from PIL import Image

    picture = Image.open(io.BytesIO(row["image"]["bytes"]))
    picture.load()
    return picture
