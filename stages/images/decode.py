"""Bytes to pixels, for pictures that anybody made: what cannot be used is a reason, never a crash."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.pixels import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "BadImage", "decode_rgb"]


class BadImage(Exception):
    """A picture that cannot be used; `reason` is a short fixed phrase, fit for a drop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode_rgb(data: bytes | None, max_pixels: int = MAX_PIXELS) -> Image:
    """The picture as people see it: RGB, turned as EXIF says, its first frame, what is transparent on white.

    Raises:
        BadImage: no bytes, not decodable or cut short, or more pixels than allowed (found before it is unpacked).
        MissingExtra: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingExtra("images", "reading images") from error
    # Size is checked here; damaged EXIF and the like are no reason to disturb a person.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if not data:
        raise BadImage("image is empty")
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height > max_pixels:
                raise BadImage("image has too many pixels")
            opened.load()
            return _flat(ImageOps.exif_transpose(opened))
    except (BadImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage("image has too many pixels") from None
    except Exception:  # Pillow's decoders raise whatever they stumble over: OSError, SyntaxError, struct.error, ...
        raise BadImage("image cannot be decoded") from None


def _flat(image: Image) -> Image:
    """RGB of any mode."""
    from PIL import Image as PILImage

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_from_deep(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = PILImage.new("RGBA", layer.size, (255, 255, 255, 255))
        white.alpha_composite(layer)
        return white.convert("RGB")
    return image.convert("RGB")


def _grey_from_deep(image: Image) -> Image:
    """Eight bits of a 16- or 32-bit or float picture. Pillow's own conversion cuts everything above 255 off."""
    import numpy as np
    from PIL import Image as PILImage

    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    top = 65535.0 if image.mode.startswith("I") else 1.0
    if values.max(initial=0.0) > top or (image.mode == "I" and values.max(initial=0.0) <= 255):
        top = max(float(values.max(initial=1.0)), 255.0)
    return PILImage.fromarray(np.clip(values / top * 255.0, 0, 255).round().astype(np.uint8))
