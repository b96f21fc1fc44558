"""Splits of image pairs: no scene, no picture, and no two pictures that are nearly the same, stand in two of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, ClassVar

import orjson
from pydantic import Field

from contextrl_data.pipeline.stage import Rows
from contextrl_data.stages.audit.config import DuplicateConfig
from contextrl_data.stages.audit.duplicates import twins_among
from contextrl_data.stages.audit.picture import Picture, outline
from contextrl_data.stages.components import member
from contextrl_data.stages.images.rows import IMAGE_PAIR
from contextrl_data.stages.splits import SplitConfig, SplitPairs

SMALLEST_CHAIN = 24
"""Rows that may always hang together, however small the set."""
SIDES = ("pos", "neg")
COLUMNS = [f"{what}_{side}" for what in ("image_id", "image") for side in SIDES]
WINDOW = 256
"""Pictures in memory at a time."""


class ImageSplitConfig(SplitConfig):
    """Sizes of the held-out splits, and how pictures that are nearly the same are kept out of two of them."""

    validation: int = Field(default=400, ge=0)
    """Pairs for choosing settings while training. An upper bound: see `max_share`."""
    probe: int = Field(default=400, ge=0)
    """Pairs that `contextrl-data probe` measures a model on. An upper bound: see `max_share`."""
    max_chain: float = Field(default=0.05, ge=0, le=1)
    """Pictures that are nearly the same (as `audit.duplicates` says) keep their pairs in one split, as long as no more
    than this share of the set hangs together that way. Longer chains are cut, and of the pairs that then look nearly like
    one of another split as few as possible are dropped."""


class SplitImages(SplitPairs):
    """IMAGE_PAIR -> IMAGE_PAIR with `split` set; `twins` are the bounds by which the audit knows near-duplicates."""

    version = 2
    schema = IMAGE_PAIR
    member_columns: ClassVar[tuple[str, ...]] = ("group", "image_id_pos", "image_id_neg")
    kind_columns: ClassVar[tuple[str, ...]] = ("domain", "method")
    config: ImageSplitConfig

    def __init__(self, config: ImageSplitConfig, twins: DuplicateConfig) -> None:
        super().__init__(config)
        self.twins = twins

    def fingerprint(self) -> str:
        """The bounds are the audit's, not this stage's own."""
        return orjson.dumps(self.twins.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()

    def links(self, rows: Rows) -> list[tuple[str, str]]:
        """Pictures that are nearly the same, by their ids, in a fixed order."""
        total = len({row[f"image_id_{side}"] for row in rows.select(COLUMNS[:2]) for side in SIDES})
        twins = twins_among(sorted(self._pictures(rows, total), key=lambda one: one.key), self.twins)
        return [(member("image_id", one), member("image_id", other)) for one, other in twins]

    def largest(self, rows: int) -> int:
        """How many rows twins may chain together."""
        return max(int(self.config.max_chain * rows), SMALLEST_CHAIN)

    def _pictures(self, rows: Rows, total: int) -> Iterator[Picture]:
        """Hash and thumbnail of every picture, each looked at once."""
        waiting, done = _distinct(rows), 0
        with ThreadPoolExecutor(self.context.workers) as pool:
            while window := list(islice(waiting, WINDOW)):
                yield from pool.map(lambda one: outline(one[1], one[0]), window)
                done += len(window)
                self.tell("pictures", done, total)


def _distinct(rows: Rows) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for row in rows.select(COLUMNS):
        for side in SIDES:
            image_id: Any = row[f"image_id_{side}"]
            if image_id not in seen:
                seen.add(image_id)
                yield image_id, row[f"image_{side}"]["bytes"]
