"""Pictures that somebody's data set might hold: whole ones in every mode, and broken ones of every kind."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

from PIL import Image

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")


def picture(rng: random.Random, mode: str = "RGB", size: tuple[int, int] = (40, 36)) -> Image.Image:
    """Noise in a mode."""
    made = Image.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3))
    if mode in ("I;16", "I", "F"):
        return made.convert("L").convert("I" if mode != "F" else "F").convert(mode)
    if mode in ("RGBA", "LA"):
        made = made.convert(mode)
        made.putalpha(Image.frombytes("L", size, rng.randbytes(size[0] * size[1])))
        return made
    return made.convert(mode)


def encoded(made: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture."""
    out = io.BytesIO()
    made.save(out, form, **options)
    return out.getvalue()


def turned(rng: random.Random) -> bytes:
    """A JPEG that EXIF turns."""
    exif = Image.Exif()
    exif[0x0112] = rng.randint(2, 8)
    return encoded(picture(rng), "JPEG", exif=exif)


def animated(rng: random.Random, form: str = "GIF") -> bytes:
    """Several frames."""
    frames = [picture(rng).convert("P" if form == "GIF" else "RGB") for _ in range(3)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:])


def bomb(width: int = 60000, height: int = 60000) -> bytes:
    """A PNG of few bytes that claims to be enormous."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def broken(rng: random.Random) -> bytes:
    """A whole picture, cut, flipped, spliced, or noise from the start."""
    data = bytearray(encoded(picture(rng), rng.choice(FORMATS)))
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        for _ in range(rng.randint(1, 40)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    if kind == 2:
        other = encoded(picture(rng), rng.choice(FORMATS))
        return bytes(data[: rng.randrange(len(data))]) + other[rng.randrange(len(other)) :]
    if kind == 3:
        start = rng.randrange(len(data))
        return bytes(data[:start] + data[start + rng.randint(1, 50) :])
    if kind == 4:
        return bytes(data[: rng.randint(2, 30)]) + rng.randbytes(rng.randrange(200))
    return rng.randbytes(rng.randrange(300))
