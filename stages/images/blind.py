"""Blind baselines of image pairs: guessers that look at no content, only at what a file and its pixels give away.

Each picks the picture with more of something. Where both directions of a pair are exported each is right in one of
them and wrong in the other, so that they stand at one half by construction; they are measured all the same.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

from contextrl_data.pipeline.stage import Row

FEATURES = ("larger_file", "larger_picture", "brighter", "more_ink", "sharper", "more_colours")


INK = 32
"""Grey levels by which a pixel must differ from the picture's middle one to count as ink."""


@dataclass(frozen=True)
class Look:
    """What a blind reader sees of one picture."""

    values: Mapping[str, float]

    @staticmethod
    def at(data: bytes) -> Look:
        """Measure an encoded picture, turned into RGB."""
        import numpy as np
        from PIL import Image

        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
        grey = np.asarray(picture.convert("L"))
        counts = np.bincount(grey.reshape(-1), minlength=256)
        middle = int(np.searchsorted(np.cumsum(counts), grey.size / 2))
        shades = np.arange(256)
        signed = grey.astype(np.int16)
        steps = [np.abs(np.diff(signed, axis=axis)) for axis in (0, 1) if grey.shape[axis] > 1]
        coarse = (np.asarray(picture) >> 5).astype(np.int16) @ np.array([1, 8, 64], np.int16)
        return Look(
            {
                "larger_file": float(len(data)),
                "larger_picture": float(grey.size),
                "brighter": float(counts @ shades) / grey.size,
                "more_ink": float(counts[np.abs(shades - middle) > INK].sum()) / grey.size,
                "sharper": sum(float(step.mean()) for step in steps),
                "more_colours": float(np.count_nonzero(np.bincount(coarse.reshape(-1), minlength=512))),
            }
        )


def blind_image_scores(right: Look, wrong: Look, correct_first: bool) -> list[Row]:
    """1 where a baseline picks the right picture, 0 the wrong one, 0.5 where it cannot tell."""
    scores = {name: _prefer(right.values[name], wrong.values[name]) for name in FEATURES}
    scores["first"] = 1.0 if correct_first else 0.0
    return [{"name": name, "value": value} for name, value in scores.items()]


def _prefer(right: float, wrong: float) -> float:
    if math.isclose(right, wrong, rel_tol=1e-9, abs_tol=1e-12):
        return 0.5
    return 1.0 if right > wrong else 0.0
