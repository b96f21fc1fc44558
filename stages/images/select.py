"""Selection and export of image pairs: the same rules as for coding pairs, over other columns."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from contextrl_data.pipeline.stage import Row, Rows
from contextrl_data.stages.balance import Choice, Unit
from contextrl_data.stages.export import ExportConfig, ExportPairs
from contextrl_data.stages.facts import FactCounter, ImageFacts
from contextrl_data.stages.images.rows import IMAGE_PAIR
from contextrl_data.stages.images.sources.catalogue import SHARES
from contextrl_data.stages.select import SelectConfig, SelectPairs

IMAGE_COLUMNS = ("image_pos", "image_neg")
"""Columns that `datasets` shall decode as pictures."""


class ImageSelectConfig(SelectConfig):
    """What the selected set must look like."""

    target_pairs: int = Field(default=7000, ge=1)
    """How many directed pairs (exported rows) to aim at. Fewer are exported where there are not so many."""
    shares: dict[str, float] = Field(default=SHARES)
    """Share of the target per domain. A domain that is not named has no limit."""
    methods: dict[str, float] = Field(default={"edited": 0.5, "mined": 0.5, "rerendered": 0.5})
    """Share of the target per method; where one leaves room, the others fill it before a domain exceeds its share."""
    per_group: int = Field(default=4, ge=1)
    """Most undirected pairs of one scene."""
    per_context: int = Field(default=2, ge=1)
    """Most undirected pairs that show one and the same picture."""
    max_source_share: float = Field(default=1.0, gt=0, le=1)
    """Most of the target that one source may fill."""


class SelectImages(SelectPairs):
    """IMAGE_PAIR -> IMAGE_PAIR, fewer."""

    version = 3
    schema = IMAGE_PAIR
    config: ImageSelectConfig
    context_columns: ClassVar[tuple[str, ...]] = ("image_id_pos", "image_id_neg")
    told_columns: ClassVar[tuple[str, ...]] = ("question", "answer")
    source_column: ClassVar[str] = "source"
    kind_columns: ClassVar[tuple[str, ...]] = ("domain", "method")

    def corpus_scores(self, rows: Rows) -> dict[str, float]:
        """None: there are no texts to count words in."""
        return {}

    def _notes(self, seen: list[Row], units: list[Unit], choice: Choice, dropped: dict[str, str]) -> dict[str, Any]:
        """The price of balance, and how many pairs of each domain and method were there and were taken."""
        sound = Counter((row["domain"], row["method"]) for row in seen)
        taken = Counter((row["domain"], row["method"]) for row in seen if row["id"] not in dropped)
        parts = [
            {"domain": domain, "method": method, "sound": count // 2, "selected": taken[domain, method] // 2}
            for (domain, method), count in sorted(sound.items())
        ]
        return {**super()._notes(seen, units, choice, dropped), "parts": parts}

    def _shares(self) -> dict[str, float]:
        return {**self.config.methods, **self.config.shares}


class ImageExportConfig(ExportConfig):
    """How the dataset folder is named and cut."""

    title: str = "Contrastive image pairs"
    """Heading of the card."""
    rows_per_file: int = Field(default=2500, ge=1)
    """Most rows of one parquet file."""
    benchmarks: list[str] = Field(
        default=["MathVista", "MathVerse", "MathVision", "MMMU", "MMStar", "BLINK", "HallusionBench"]
    )
    """A source whose name contains one of these is flagged in the card: do not train on it and then report it."""


class ExportImages(ExportPairs):
    """IMAGE_PAIR -> the dataset folder, whose pictures `datasets` gives back as pictures, their bytes unchanged."""

    pairs: ClassVar[pa.Schema] = IMAGE_PAIR
    counter: ClassVar[type[FactCounter]] = ImageFacts

    def pair_schema(self) -> pa.Schema:
        """IMAGE_PAIR with the note by which `datasets` knows its pictures."""
        from datasets import Features, Image

        features: dict[str, Any] = dict(Features.from_arrow_schema(IMAGE_PAIR))
        features |= {name: Image() for name in IMAGE_COLUMNS}
        schema: pa.Schema = Features(features).arrow_schema
        return schema
