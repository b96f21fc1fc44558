"""`measure`, `similarity` and `accept`: every score of an edited pair is stored, and what counts as good is decided last.

A changed threshold therefore reruns `accept` alone, which reads scores and no pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Drop, Gather, Gathered, Keep, Map, Outcome, Row, Rows, StageConfig
from contextrl_data.stages.images.decode import BadImage, decode_rgb
from contextrl_data.stages.images.difference import difference
from contextrl_data.stages.images.embed import EmbedConfig, vectors_of
from contextrl_data.stages.images.rows import IMAGE_CANDIDATE
from contextrl_data.stages.images.vectors import Half

FLIP = ("flip_first", "flip_second")
"""Shares of votes in which a model, shown one picture, gives that picture's answer."""


class MeasureConfig(StageConfig):
    """Settings of `measure`: none, since nothing is decided there."""


class Measure(Map[MeasureConfig]):
    """IMAGE_CANDIDATE -> the same with what the pixels tell; the box is filled in where it is not known."""

    name = "measure"
    version = 1
    schema = IMAGE_CANDIDATE
    work = "process"

    def process(self, row: Row) -> Outcome:
        """Compare the two pictures."""
        try:
            one, other = (decode_rgb(row[side]["image"]["bytes"]) for side in ("first", "second"))
        except BadImage as bad:
            return Drop(bad.reason)
        if one.size != other.size:
            return Drop("pictures of different size")
        found = difference(one, other)
        return Keep([{**row, "box": row["box"] or found.box, "scores": with_scores(row, found.scores())}])


class Similarity(Gather[EmbedConfig]):
    """IMAGE_CANDIDATE -> the same with the cosine of its pictures' vectors."""

    name = "similarity"
    version = 1
    schema = IMAGE_CANDIDATE

    def fingerprint(self) -> str:
        """The encoder's weights."""
        return str(self.config.encoder.fingerprint())

    def gather(self, rows: Rows) -> Gathered:
        """Embed what was not embedded before, then take the products."""
        notes: dict[str, Any] = {}
        vectors, bad = vectors_of(self.config, _Sides(rows), notes, self.tell)
        dropped = {
            row["id"]: bad[row[side]["image_id"]]
            for row in rows
            for side in ("second", "first")
            if row[side]["image_id"] in bad
        }
        return Gathered(self._emit(rows, vectors, dropped), dropped, notes=notes)

    @staticmethod
    def _emit(rows: Rows, vectors: dict[str, Half], dropped: dict[str, str]) -> Iterator[Row]:
        for row in rows:
            if row["id"] in dropped:
                continue
            one, other = (vectors[row[side]["image_id"]].astype(np.float64) for side in ("first", "second"))
            cosine = round(float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other))), 6)
            yield {**row, "similarity": cosine, "scores": with_scores(row, {"similarity": cosine})}


@dataclass
class _Sides:
    """The two pictures of every pair as rows that can be embedded."""

    rows: Rows

    def __len__(self) -> int:
        return 2 * len(self.rows)

    def select(self, columns: list[str]) -> Iterator[Row]:
        """One row a side."""
        for row in self.rows:
            for side in ("first", "second"):
                picture = {"image_id": row[side]["image_id"], "image": row[side]["image"]}
                yield {"id": f"{row['id']}/{side}", **picture}


class AcceptConfig(StageConfig):
    """Settings of `accept`. Every bound is on a stored score; a pair without a score passes its bound."""

    min_changed_area: float = Field(default=0.002, ge=0, le=1)
    """Least share of changed pixels."""
    max_changed_area: float = Field(default=0.5, ge=0, le=1)
    """Greatest share of changed pixels."""
    min_ssim_outside: float = Field(default=0.9, ge=-1, le=1)
    """Least structural similarity outside the changed box."""
    min_similarity: float = Field(default=0.75, ge=-1, le=1)
    """Least cosine: below, the edit is another picture."""
    max_similarity: float = Field(default=0.985, ge=-1, le=1)
    """Greatest cosine: above, nothing that matters has changed."""
    min_flip: float = Field(default=0.8, ge=0, le=1)
    """Least share of a model's votes, for each picture, that give its answer (4 of 5)."""
    require_flip: bool = False
    """Whether a pair that no model has answered is refused."""


BOUNDS: dict[str, tuple[tuple[str, str | None, str | None], ...]] = {
    "changed area": (("changed_area", "min_changed_area", "max_changed_area"),),
    "rest unchanged": (("ssim_outside", "min_ssim_outside", None),),
    "similarity band": (("similarity", "min_similarity", "max_similarity"),),
    "answer flips": tuple((name, "min_flip", None) for name in FLIP),
}
"""Check -> the scores that it looks at, each with the settings of its bounds."""


PAPER_YIELD = 0.35
"""Edits that the method's authors kept: 700 of 2,000 (arXiv 2606.17053)."""


class Accept(Gather[AcceptConfig]):
    """IMAGE_CANDIDATE -> those that pass every check; of several attempts at one edit the best."""

    name = "accept"
    version = 1
    schema = IMAGE_CANDIDATE

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Nobody can tell before; the authors' share stands in."""
        return Outlook(rows, guess=PAPER_YIELD, told="the paper's 700 of 2,000")

    def gather(self, rows: Rows) -> Gathered:
        """Decide from scores alone, then read the pictures of those that stay."""
        dropped: dict[str, str] = {}
        best: dict[str, tuple[tuple[float, ...], str]] = {}
        alive: dict[str, int] = dict.fromkeys(BOUNDS, 0)
        for row in rows.select(["id", "scores"]):
            scores = {score["name"]: score["value"] for score in row["scores"]}
            reason = self._reason(scores, alive)
            if reason:
                dropped[row["id"]] = reason
                continue
            attempt_of = row["id"].rpartition("#")[0] or row["id"]
            rank = (sum(scores.get(name, 0.0) for name in FLIP), scores.get("ssim_outside", 0.0))
            known = best.get(attempt_of)
            if known is None or rank > known[0]:
                best[attempt_of] = (rank, row["id"])
                if known is not None:
                    dropped[known[1]] = "another attempt is better"
            else:
                dropped[row["id"]] = "another attempt is better"
        funnel = [("candidates", len(rows)), *alive.items(), ("best of their attempts", len(best))]
        return Gathered(self._emit(rows, {row_id for _, row_id in best.values()}), dropped, {}, funnel)

    def _reason(self, scores: dict[str, float], alive: dict[str, int]) -> str:
        for check in BOUNDS:
            passed = self._passes(check, scores)
            if passed is False or (passed is None and check == "answer flips" and self.config.require_flip):
                return f"failed: {check}"
            alive[check] += 1
        return ""

    def _passes(self, check: str, scores: dict[str, float]) -> bool | None:
        """None where there is no score to look at."""
        known = [bound for bound in BOUNDS[check] if bound[0] in scores]
        if not known:
            return None
        config = self.config
        return all(
            (low is None or scores[name] >= getattr(config, low))
            and (high is None or scores[name] <= getattr(config, high))
            for name, low, high in known
        )

    def _emit(self, rows: Rows, kept: set[str]) -> Iterator[Row]:
        for row in rows:
            if row["id"] in kept:
                scores = {score["name"]: score["value"] for score in row["scores"]}
                checks = [{"name": check, "passed": self._passes(check, scores), "detail": ""} for check in BOUNDS]
                yield {**row, "checks": [*(row["checks"] or []), *checks]}


def with_scores(row: Row, more: dict[str, float]) -> list[Row]:
    """A row's scores and more of them; a name stands once."""
    kept = [score for score in row["scores"] or [] if score["name"] not in more]
    return [*kept, *({"name": name, "value": value} for name, value in more.items())]
