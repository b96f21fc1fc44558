"""Pictures inside the page: the original where it is small, a WebP thumbnail where it is not."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.pixels import MAX_PIXELS

LEAST, MOST = 1_500, 60_000
"""Bounds of the bytes that one picture may take."""
LADDER = ((768, 80), (640, 76), (512, 72), (448, 68), (384, 64), (320, 58), (256, 52), (224, 46), (192, 40), (160, 34))
"""Longest side in pixels and WebP quality, tried in turn until the picture fits its budget; the last one always does."""
OVERSHOOT, GROWTH = 1.4, 0.45
"""What a step's bytes are expected to be, from those of another and the weight (area by quality) of both. Small pictures
compress worse: a lighter step is tried where in proportion it would take no more than 1.4 budgets, a heavier one where
the budget holds as many bytes as the ratio of weights to this power lets expect; charts grow least, by about 0.5."""
CLOSE = ((320, 70), (256, 62), (192, 52), (128, 42), (96, 34))
"""The same for the close-up of a deciding region."""
AS_IT_IS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Formats that browsers show and that hold no script. Anything else is drawn anew."""


@dataclass(frozen=True)
class Picture:
    """One picture as the page holds it; `width` and `height` are the original's, which the boxes are measured in."""

    mime: str
    data: bytes
    width: int
    height: int
    nbytes: int
    """Bytes of the original file."""
    exact: bool
    """Whether these are the original's bytes."""

    def base64(self) -> str:
        """The bytes as text."""
        return base64.b64encode(self.data).decode()


@dataclass(frozen=True)
class CloseUp:
    """A part of a picture as the page holds it."""

    mime: str
    data: bytes

    def base64(self) -> str:
        """The bytes as text."""
        return base64.b64encode(self.data).decode()


def budget_of(max_bytes: int, pictures: int) -> int:
    """Bytes for one picture, so that all of them and their base64 take nine tenths of the page."""
    return max(LEAST, min(MOST, int(max_bytes * 0.9 * 3 / 4) // max(1, pictures)))


def picture(data: bytes, budget: int, thumbnail: int | None = None) -> Picture | None:
    """The original within `budget` bytes, else a thumbnail within `thumbnail`, which is `budget` by default; None where the bytes are no picture that Pillow can read, or too large a one.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("images", "a report with pictures") from error
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                return None
            mime = AS_IT_IS.get(image.format or "")
            if mime and len(data) <= budget:
                image.verify()
                return Picture(mime, data, width, height, len(data), exact=True)
            image.draft("RGB", (LADDER[0][0], LADDER[0][0]))  # a JPEG is decoded near the size that is wanted
            drawn = _encoded(image, budget if thumbnail is None else thumbnail)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    return Picture("image/webp", drawn, width, height, len(data), exact=False)


def close_up(data: bytes, box: Sequence[int], budget: int) -> CloseUp | None:
    """The deciding region of a picture that is shown as a thumbnail, taken from the original; None where it has none."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:  # `picture` has read it already
        pad = round(0.15 * max(box[2] - box[0], box[3] - box[1])) + 4
        left, top = max(0, box[0] - pad), max(0, box[1] - pad)
        right, bottom = min(image.width, box[2] + pad), min(image.height, box[3] + pad)
        if left >= right or top >= bottom:
            return None
        return CloseUp("image/webp", _encoded(image.crop((left, top, right, bottom)), budget, CLOSE))


def _encoded(image: Any, budget: int, ladder: Sequence[tuple[int, int]] = LADDER) -> bytes:
    """WebP at the first step of the ladder that fits. A step in the middle is tried before all others, since it costs
    little and shows most of them to be too large."""
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    drawn = image.convert("RGBA" if transparent else "RGB")
    middle = ladder[len(ladder) // 2]
    made = {middle: _webp(drawn, *middle)}
    data, weight = made[middle], _weight(drawn, *middle)
    for step in ladder if len(data) <= OVERSHOOT * budget else ladder[len(ladder) // 2 :]:
        grown = _weight(drawn, *step) / weight
        if len(data) * (grown**GROWTH if grown > 1 else grown / OVERSHOOT) > budget and step != ladder[-1]:
            continue
        made[step] = made.get(step) or _webp(drawn, *step)
        data, weight = made[step], _weight(drawn, *step)
        if len(data) <= budget:
            break
    return data


def _size(image: Any, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _weight(image: Any, side: int, quality: int) -> int:
    """What a step's bytes grow with."""
    width, height = _size(image, side)
    return width * height * quality


def _webp(image: Any, side: int, quality: int) -> bytes:
    out, size = io.BytesIO(), _size(image, side)
    small = image if size == image.size else image.resize(size, reducing_gap=2.0)
    small.save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()
