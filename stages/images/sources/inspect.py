"""Whether the bytes of a picture can be used as they are; what cannot is told by a short fixed phrase."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_TURNED = range(2, 9)
"""Values of the EXIF tag Orientation that turn or mirror."""
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Limits:
    """Bounds of a usable picture, in pixels, and kinds that are let in although loaders differ on them."""

    max_pixels: int = 25_000_000
    max_side: int = 8000
    min_side: int = 28
    accept: frozenset[str] = frozenset()


def inspect(data: bytes, limits: Limits | None = None) -> str:
    """Why the picture cannot be used, "" where it can. The size is looked at before anything is unpacked.

    The format is told by the bytes: a wrong extension does no harm.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("images", "reading images") from error
    limits = limits or Limits()
    if not data:
        return "image is empty"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked here; damaged EXIF is no reason to disturb a person
        try:
            with Image.open(io.BytesIO(data)) as opened:
                return _size(opened, limits) or _kind(opened, limits) or _whole(opened)
        except Image.DecompressionBombError:
            return "image has too many pixels"
        except MemoryError:
            raise
        except Exception:  # Pillow's decoders raise whatever they stumble over: OSError, SyntaxError, struct.error, ...
            return "image cannot be decoded"


def _size(opened: Picture, limits: Limits) -> str:
    if opened.width * opened.height > limits.max_pixels or max(opened.size) > limits.max_side:
        return "image has too many pixels"
    return "image is too small" if min(opened.size) < limits.min_side else ""


def _kind(opened: Picture, limits: Limits) -> str:
    """What different loaders would show differently."""
    kinds = {
        "animated": (getattr(opened, "n_frames", 1) > 1, "image is animated"),
        "cmyk": (opened.mode in ("CMYK", "YCCK"), "image is in print colours"),
        "deep": (opened.mode.startswith("I") or opened.mode == "F", "image has more than 8 bits a channel"),
        "rotated": (opened.getexif().get(_ORIENTATION) in _TURNED, "image is turned by EXIF"),
        "transparent": (_see_through(opened), "image is transparent"),
    }
    return next((reason for kind, (is_so, reason) in kinds.items() if is_so and kind not in limits.accept), "")


def _see_through(opened: Picture) -> bool:
    """Whether any pixel lets the background through: an alpha channel that is full everywhere does no harm."""
    if opened.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in opened.info:
        return False
    return any(opened.convert("RGBA").getchannel("A").histogram()[:255])


def _whole(opened: Picture) -> str:
    opened.load()
    return ""
