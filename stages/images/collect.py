"""Bring rows of several stages together: questions of every source, candidates of every method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig
from contextrl_data.stages.images.rows import IMAGE_CANDIDATE, QUESTION


class CollectConfig(StageConfig):
    """Nothing to set: what comes in goes out."""


class Collect(Gather[CollectConfig]):
    """IMAGE_CANDIDATE of the main input and of every side -> IMAGE_CANDIDATE."""

    name = "collect"
    schema = IMAGE_CANDIDATE
    counted: ClassVar[str] = "method"
    """Column whose values are counted for the report."""

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """All of them."""
        return Outlook(rows + sum(sides.values()), exact=True)

    def gather(self, rows: Rows) -> Gathered:
        """Main input first, then the sides by name."""
        parts = [rows, *(self.context.sides[name] for name in sorted(self.context.sides))]
        counts = Counter(row[self.counted] for part in parts for row in part.select([self.counted]))
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        return Gathered(rows=_chained(parts), notes={"message": told})


class Questions(Collect):
    """QUESTION of the main input and of every side -> QUESTION."""

    name = "questions"
    schema = QUESTION
    counted: ClassVar[str] = "domain"


def _chained(parts: list[Rows]) -> Iterator[Row]:
    for part in parts:
        yield from part
