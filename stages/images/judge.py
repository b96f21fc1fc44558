"""The rule judge of image pairs: finds the flaws that need no reading, and says that it is no more than rules."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.images.answers import differ, meaning, resolve
from contextrl_data.stages.images.rows import JUDGED_CANDIDATE

if TYPE_CHECKING:
    from PIL import Image

REASONS = (
    "ambiguous label",
    "answer is no choice",
    "format difference",
    "image does not decode",
    "same picture",
    "a check failed",
    "questions differ",
    "choices differ",
)
"""Everything that the rules may hold against a pair."""


class ImageRulesConfig(StageConfig):
    """Settings of `judge` where no model is configured."""

    kind: Literal["rules"] = "rules"
    """Rules judge; `chat` for a model that sees the pictures."""
    max_size_ratio: float = Field(default=1.5, ge=1)
    """Ratio of the pictures' widths, heights or pixels above which their format alone tells them apart."""
    uncertain: Literal["keep", "drop"] = "drop"
    """What becomes of pairs that the rules doubt; kept ones are marked UNCERTAIN."""


class ImageRules(Map[ImageRulesConfig]):
    """IMAGE_CANDIDATE -> JUDGED_CANDIDATE."""

    name = "judge"
    version = 3
    schema = JUDGED_CANDIDATE
    work = "process"

    def process(self, row: Row) -> Outcome:
        """Drop what a rule refuses; mark or drop what a rule doubts."""
        if (flaw := next(self.flaws(row), None)) is not None:
            return Drop(f"judged invalid: {flaw}")
        doubt = next(_doubts(row), None)
        if doubt is not None and self.config.uncertain == "drop":
            return Drop(f"judged uncertain: {doubt}")
        return Keep([{**row, "verdict": "UNCERTAIN" if doubt else "VALID", "judge": "rules"}])

    def flaws(self, row: Row) -> Iterator[str]:
        """Everything that makes the pair useless, whoever judges."""
        first, second = row["first"], row["second"]
        if not differ(*(meaning(resolve(side["answer"], side["choices"])) for side in (first, second))):
            yield "ambiguous label"
        for side in (first, second):
            if side["choices"] and fold(side["answer"]) not in {fold(choice) for choice in side["choices"]}:
                yield "answer is no choice"
        if any(check["passed"] is False for check in row["checks"]):
            yield "a check failed"
        if first["image_id"] == second["image_id"]:
            yield "same picture"
        try:
            pictures = [_rgb(side) for side in (first, second)]
        except Exception:  # Pillow's decoders raise whatever they stumble over
            yield "image does not decode"
            return
        yield from self._between(*pictures)

    def _between(self, one: Image.Image, other: Image.Image) -> Iterator[str]:
        from PIL import ImageChops

        pairs = [
            (one.width, other.width),
            (one.height, other.height),
            (one.width * one.height, other.width * other.height),
        ]
        if any(max(pair) > self.config.max_size_ratio * min(pair) for pair in pairs):
            yield "format difference"
        if one.size == other.size and ImageChops.difference(one, other).getbbox() is None:
            yield "same picture"


def _doubts(row: Row) -> Iterator[str]:
    first, second = row["first"], row["second"]
    if fold(first["question"]) != fold(second["question"]):
        yield "questions differ"
    if set(map(fold, first["choices"])) != set(map(fold, second["choices"])):
        yield "choices differ"


def fold(text: str) -> str:
    """Text without what does not change an answer: case, outer and repeated blanks, a closing full stop."""
    return " ".join(text.casefold().split()).removesuffix(".")


def _rgb(side: Row) -> Image.Image:
    from PIL import Image

    with Image.open(io.BytesIO(side["image"]["bytes"])) as opened:
        return opened.convert("RGB")
