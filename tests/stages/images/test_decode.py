"""Pictures that anybody may send: the odd ones come out right, the bad ones with their reason."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs the extra [images]")

from image_rows import picture
from PIL import Image

from contextrl_data.stages.images.decode import BadImage, decode_rgb

FORMS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
REASONS = {"image is empty", "image cannot be decoded", "image has too many pixels"}


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)  # type: ignore[arg-type]
    return out.getvalue()


def claimed(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes do not hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("form", "mode"),
    [(form, mode) for form in FORMS for mode in ("RGB", "L", "P", "1") if (form, mode) != ("JPEG", "P")],
)
def test_every_usual_form_and_mode_is_rgb_of_its_own_size(form: str, mode: str) -> None:
    image = Image.open(io.BytesIO(picture(1))).convert(mode)
    found = decode_rgb(saved(image, form))
    assert (found.mode, found.size) == ("RGB", (64, 64))
    if form not in ("JPEG", "WEBP"):
        assert np.array_equal(np.asarray(found), np.asarray(image.convert("RGB")))


def test_odd_pictures_look_as_people_see_them() -> None:
    see_through = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decode_rgb(saved(see_through, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    deep = Image.fromarray(np.full((4, 4), 32896, dtype=np.uint16))
    assert decode_rgb(saved(deep, "PNG")).getpixel((0, 0)) == (128, 128, 128)
    floats = Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32))
    assert decode_rgb(saved(floats, "TIFF")).getpixel((0, 0)) == (128, 128, 128)
    inks = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert decode_rgb(saved(inks, "JPEG", quality=100)).getpixel((0, 0))[0] > 200  # type: ignore[index]
    tall = Image.new("RGB", (8, 4))
    turned = Image.Exif()
    turned[0x0112] = 6
    assert decode_rgb(saved(tall, "JPEG", exif=turned)).size == (4, 8)
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_rgb(moving).getpixel((0, 0)) == (255, 0, 0)
    assert decode_rgb(saved(Image.new("RGB", (1, 1)), "PNG")).size == (1, 1)
    assert decode_rgb(saved(Image.new("L", (20_000, 3)), "PNG")).size == (20_000, 3)


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 60_000), (2**30, 2**30)])
def test_a_decompression_bomb_is_never_unpacked(size: tuple[int, int]) -> None:
    with pytest.raises(BadImage) as caught:
        decode_rgb(claimed(*size))
    assert caught.value.reason in REASONS


def test_two_thousand_damaged_pictures_are_a_reason_or_a_picture_never_a_crash() -> None:
    rng = random.Random(7)
    whole = [picture(number, 48, form) for number, form in enumerate(FORMS)]
    fates: Counter[str] = Counter()
    for number in range(2400):
        data = bytearray(whole[number % len(whole)])
        match number % 4:
            case 0:
                del data[rng.randrange(len(data)) :]
            case 1:
                for _ in range(rng.randint(1, 40)):
                    data[rng.randrange(len(data))] = rng.randrange(256)
            case 2:
                place = rng.randrange(len(data))
                data[place : place + rng.randint(1, 60)] = rng.randbytes(rng.randint(0, 60))
            case _:
                data = bytearray(rng.randbytes(rng.randrange(200)))
        try:
            assert decode_rgb(bytes(data)).mode == "RGB"
            fates["picture"] += 1
        except BadImage as bad:
            fates[bad.reason] += 1
    assert set(fates) <= REASONS | {"picture"}
    assert fates["image cannot be decoded"] > 1000


@pytest.mark.parametrize("data", [None, b"", b"<html>no picture</html>", b"\x89PNG\r\n\x1a\n"])
def test_no_picture_at_all(data: bytes | None) -> None:
    with pytest.raises(BadImage):
        decode_rgb(data)
