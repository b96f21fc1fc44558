"""Pictures that weigh little and unpack to much, in every format, through every reader that opens pictures."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("PIL")

from bad_pictures import bomb, encoded, picture
from PIL import Image, PngImagePlugin

from contextrl_data.pipeline.stage import Keep
from contextrl_data.stages.images.image_sets import ImageSets, ImageSetsConfig

SIDE = 13_000
"""169 million pixels: Pillow warns of them, and unpacks them."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def whole_png(side: int = SIDE) -> bytes:
    """Every pixel is there: 500 MB of black in about a megabyte."""
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text_png(kind: str) -> bytes:
    """A small picture with a text chunk that unpacks to 64 MB."""
    info = PngImagePlugin.PngInfo()
    if kind == "zTXt":
        info.add_text("Comment", "x" * (64 << 20), zip=True)
    else:
        info.add_itxt("Comment", "x" * (64 << 20), zip=True)
    out = io.BytesIO()
    picture(random.Random(1)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF whose screen or frame claims a size that nothing fills."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00;"


def frames(form: str, count: int) -> bytes:
    """One picture, and so many more behind it."""
    first = Image.new("RGB", (64, 64))
    more = [Image.new("RGB", (64, 64), (n % 256, 1, 2)) for n in range(count)]
    out = io.BytesIO()
    first.save(out, form, save_all=True, append_images=more)
    return out.getvalue()


def webp(width: int, height: int) -> bytes:
    """A WebP header of a canvas that is not there."""
    canvas = struct.pack("<I", 0)[:4] + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(width: int, height: int) -> bytes:
    """A TIFF of three tags."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (262, 3, 1, 1), (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 4)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def bmp(width: int, height: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, *[0] * 5)
    )


def icc_png() -> bytes:
    """A small picture whose colour profile unpacks to 64 MB."""
    return encoded(picture(random.Random(1)), "PNG", icc_profile=bytes(64 << 20))


BOMBS: dict[str, Callable[[], bytes]] = {
    "a header": bomb,
    "a header of 4 billion": lambda: bomb(2**31 - 1, 2**31 - 1),
    "one line": lambda: bomb(80_000_001, 1),
    "all pixels": whole_png,
    "a compressed text": lambda: text_png("zTXt"),
    "a compressed international text": lambda: text_png("iTXt"),
    "a colour profile": icc_png,
    "a gif's screen": lambda: gif((65535, 65535), (1, 1)),
    "a gif's frame": lambda: gif((64, 64), (65535, 65535)),
    "a webp's canvas": lambda: webp(16384, 16384),
    "a tiff": lambda: tiff(60_000, 60_000),
    "a bmp": lambda: bmp(60_000, 60_000),
    "a thousand frames": lambda: frames("GIF", 1000),
    "a thousand frames of webp": lambda: frames("WEBP", 1000),
}

MOST_MIB = 700
"""A picture at the bound of `decode` has 80 million pixels: 240 MB, and a copy while it is turned or converted."""


def test_bombs_cost_no_more_than_a_large_picture(tmp_path: Path) -> None:
    """All of them in one process, the largest last."""
    names = sorted(BOMBS, key=lambda name: name == "all pixels")
    for name in names:
        (tmp_path / name).write_bytes(BOMBS[name]())
        assert (tmp_path / name).stat().st_size < 6 << 20
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "hostile_readers.py"), *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["file"] for one in found] == names
    for one in found:
        assert set(one["told"]) == {"set", "decode", "report", "audit"}
        assert one["mib"] < MOST_MIB, one


def test_a_bomb_in_a_set_is_a_row_with_its_reason(tmp_path: Path) -> None:
    names = [name for name in BOMBS if name != "all pixels"]
    rows = [{"id": name, "question": "Q?", "answer": "a", "image": BOMBS[name]()} for name in names]
    rows.append({"id": "good", "question": "Q?", "answer": "a", "image": encoded(picture(random.Random(1)))})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    stage = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": str(tmp_path / "x.parquet"), "name": "s"}]}))
    found = dict(stage.items())
    assert set(found) == {f"s-{row['id']}" for row in rows}
    reasons = {found[f"s-{name}"].reason for name in names}  # type: ignore[union-attr]
    assert reasons <= {
        "image has too many pixels",
        "image is animated",
        "image cannot be decoded",
        "image is too small",
    }
    assert isinstance(found["s-good"], Keep)
