"""What an edit changed: how much, where, and what became of the rest. Scores only; what counts as good comes later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_SIDE = 1024
"""Pictures are compared at no more than this, pixels of the longer side."""
CHANGED = 24
"""Difference of a channel, of 255 and after a slight blur, from which a pixel counts as changed."""
_WINDOW = 7


@dataclass(frozen=True)
class Difference:
    """How two pictures of one size differ."""

    changed_area: float
    """Share of pixels that changed, 0..1."""
    box: list[int] | None
    """x0, y0, x1, y1 in pixels of the pictures, right and bottom excluded; None where nothing changed."""
    ssim_outside: float | None
    """Mean structural similarity of what lies outside the box, -1..1; None where nothing lies there."""
    phash_distance: int
    """Bits, of 64, in which the perceptual hashes differ."""

    def scores(self) -> dict[str, float]:
        """Everything that is a number."""
        found = {"changed_area": self.changed_area, "phash_distance": float(self.phash_distance)}
        return found if self.ssim_outside is None else {**found, "ssim_outside": self.ssim_outside}


def difference(one: Image, other: Image) -> Difference:
    """Compare two RGB pictures of the same size.

    Raises:
        MissingExtra: scikit-image or imagehash is not installed.
        ValueError: the sizes differ.
    """
    try:
        import imagehash
        from skimage.filters import gaussian
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise MissingExtra("images", "comparing pictures") from error
    if one.size != other.size:
        raise ValueError(f"pictures of {one.size} and {other.size} cannot be compared")
    width, height = one.size
    small = [each.copy() for each in (one, other)]
    for each in small:
        each.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    pixels = [np.asarray(each, dtype=np.float32) for each in small]
    strongest = np.abs(pixels[0] - pixels[1]).max(axis=2)
    changed = gaussian(strongest, sigma=1.0, preserve_range=True) > CHANGED
    box = box_of(changed)
    grey = [np.asarray(each.convert("L")) for each in small]
    ssim = None
    if min(grey[0].shape) >= _WINDOW:
        _, surface = structural_similarity(*grey, data_range=255, win_size=_WINDOW, full=True)
        outside = np.ones(surface.shape, dtype=bool)
        if box is not None:
            # A window that reaches into the box sees the change: leave its half width out.
            x0, y0, x1, y1 = box
            edge = _WINDOW // 2
            outside[max(y0 - edge, 0) : y1 + edge, max(x0 - edge, 0) : x1 + edge] = False
        ssim = round(float(surface[outside].mean()), 6) if outside.any() else None
    scale = (width / small[0].width, height / small[0].height)
    return Difference(
        changed_area=round(float(changed.mean()), 6),
        box=None if box is None else _scaled(box, scale, (width, height)),
        ssim_outside=ssim,
        phash_distance=int(imagehash.phash(one) - imagehash.phash(other)),
    )


def box_of(mask: npt.NDArray[np.bool_]) -> list[int] | None:
    """The smallest box around what is true."""
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def _scaled(box: list[int], scale: tuple[float, float], size: tuple[int, int]) -> list[int]:
    x0, y0, x1, y1 = box
    return [
        int(x0 * scale[0]),
        int(y0 * scale[1]),
        min(int(np.ceil(x1 * scale[0])), size[0]),
        min(int(np.ceil(y1 * scale[1])), size[1]),
    ]
