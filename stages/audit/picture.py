"""What can be seen of an image without looking at what it shows: size, bytes, sharpness, and traces of how it was made.

Measured at the native resolution, since scaling wipes out most traces; of large images on the middle `CROP` pixels.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.audit.words import digest
from contextrl_data.stages.pixels import MAX_PIXELS

if TYPE_CHECKING:
    from PIL import Image

CROP = 256
THUMB = 32
HASH_SIZE = 16
FORMATS = ("PNG", "JPEG", "WEBP")

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as the checks see it. `values` is empty where it could not be decoded, or is too large to be."""

    key: str
    """Digest of the decoded pixels, so that another file of the same picture has the same key."""
    values: dict[str, float] = field(default_factory=dict)
    phash: bytes = b""
    """Perceptual hash: 256 bits, packed."""
    thumb: bytes = b""
    """Grey, 32 x 32."""


_seen: dict[str, Picture] = {}  # the last few images: both directions of a pair show the same two


def describe(data: bytes) -> Picture:
    """Decode an image and measure it; a damaged one is told by its lack of values."""
    key = digest(data)
    if key not in _seen:
        while len(_seen) >= 16:
            del _seen[next(iter(_seen))]
        _seen[key] = _describe(data, key)
    return _seen[key]


def outline(data: bytes, key: str) -> Picture:
    """Only what tells whether two images are nearly the same: hash and thumbnail, under a key of the caller's."""
    opened = _open(data)
    return Picture(key) if opened is None else Picture(key, {}, _phash(opened[1]), _thumb(opened[1]))


def _describe(data: bytes, key: str) -> Picture:
    opened = _open(data)
    if opened is None:
        return Picture(key)
    image, rgb = opened
    pixels = digest(f"{rgb.size}".encode() + rgb.tobytes())
    return Picture(pixels, _values(image, rgb, len(data)), _phash(rgb), _thumb(rgb))


def _open(data: bytes) -> tuple[Image.Image, Image.Image] | None:
    """The image as its file holds it, and in RGB; None where it cannot be decoded."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("audit", "looking at images") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata is one of the things that are measured
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > MAX_PIXELS:
                return None
            image.load()
            return image, image.convert("RGB")
    except Exception:  # Pillow raises whatever its decoders do (OSError, ValueError, SyntaxError, struct.error, ...)
        return None


def _thumb(rgb: Image.Image) -> bytes:
    small: bytes = rgb.convert("L").resize((THUMB, THUMB)).tobytes()
    return small


def _phash(image: Image.Image) -> bytes:
    try:
        import imagehash
    except ImportError as error:
        raise MissingExtra("audit", "comparing images") from error
    return np.packbits(imagehash.phash(image, hash_size=HASH_SIZE).hash).tobytes()


def _values(image: Image.Image, rgb: Image.Image, nbytes: int) -> dict[str, float]:
    width, height = rgb.size
    left, top = max(0, (width - CROP) // 2), max(0, (height - CROP) // 2)
    crop = rgb.crop((left, top, min(width, left + CROP), min(height, top + CROP)))
    grey = np.asarray(crop.convert("L"), np.float32)
    red, green, blue = (np.asarray(channel) for channel in crop.split())
    brightest = np.maximum(np.maximum(red, green), blue)
    darkest = np.minimum(np.minimum(red, green), blue)
    quantisation = getattr(image, "quantization", None) or {}
    return {
        "pixels": float(width * height),
        "aspect": width / height,
        "fits_16": float(width % 16 == 0 and height % 16 == 0),  # what latent diffusion models put out
        "bytes": float(nbytes),
        "bytes_per_pixel": nbytes / (width * height),
        **{f"is_{name}": float(image.format == name) for name in FORMATS},
        "jpeg_tables": float(sum(sum(table) for table in quantisation.values())),
        "metadata": float(len(image.info)),
        "has_alpha": float("A" in image.mode),
        "palette": float(image.mode == "P"),
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "saturation": float((brightest - darkest).mean()),
        **_traces(grey),
        "error_level": _error_level(crop),
    }


def _traces(grey: Plane) -> dict[str, float]:
    """Sharpness, noise, 8 x 8 blocks and the spectrum's tail."""
    if min(grey.shape) < 3:
        return dict.fromkeys(("sharpness", "noise", "blocks", "flat", "high_frequencies"), 0.0)
    laplace = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    rows, columns = np.abs(np.diff(grey, axis=0)).mean(axis=1), np.abs(np.diff(grey, axis=1)).mean(axis=0)
    blocks = [float(steps[7::8].mean() - steps.mean()) if len(steps) > 8 else 0.0 for steps in (rows, columns)]
    power = np.abs(np.fft.rfft2(grey - grey.mean()))
    down = np.abs(np.fft.fftfreq(grey.shape[0]))[:, None]
    across = np.fft.rfftfreq(grey.shape[1])[None, :]
    tail = power[(down > 0.25) | (across > 0.25)]
    return {
        "sharpness": float(laplace.var()),
        "noise": float(np.median(np.abs(laplace[::2, ::2]))),
        "blocks": sum(blocks),
        "flat": float((laplace == 0).mean()),
        "high_frequencies": float(tail.sum() / max(float(power.sum()), 1e-9)),
    }


def _error_level(crop: Image.Image) -> float:
    """Mean change under a fresh JPEG at quality 90: less where the picture has been one before (error level analysis)."""
    from PIL import Image

    packed = io.BytesIO()
    crop.save(packed, "JPEG", quality=90)
    again: Any = np.asarray(Image.open(packed).convert("L"), np.float32)
    return float(np.abs(again - np.asarray(crop.convert("L"), np.float32)).mean())
