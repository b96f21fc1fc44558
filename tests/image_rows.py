"""Questions about small pictures made from a number, and rows in memory with the engine's own ways of reading."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image, ImageDraw

from contextrl_data.stages.images.embed import Embed, EmbedConfig
from contextrl_data.stages.images.rows import EMBEDDED, QUESTION


class Table(list[dict[str, Any]]):
    """Rows in memory; `schema` is needed for `batches`."""

    def __init__(self, rows: Any, schema: pa.Schema = QUESTION) -> None:
        super().__init__(rows)
        self.schema = schema

    def select(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        return ({column: row[column] for column in columns} for row in self)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(self), 7):
            yield from pa.Table.from_pylist(self[start : start + 7], self.schema).select(columns).to_batches()


def picture(number: int, side: int = 64, form: str = "PNG", **options: Any) -> bytes:
    """A few coloured shapes, different for every number."""
    rng = random.Random(number)
    image = Image.new("RGB", (side, side), tuple(rng.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = rng.randrange(side), rng.randrange(side)
        box = (left, top, left + side // 4, top + side // 4)
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(box, fill=tuple(rng.randrange(256) for _ in range(3)))
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def image_id(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()


def question(
    number: int, data: bytes | None = None, answer: str = "2", group: str = "how many", **more: Any
) -> dict[str, Any]:
    """One row of QUESTION."""
    data = picture(number) if data is None else data
    return {
        "id": f"q{number:05}",
        "image": {"bytes": data, "path": f"{number}.png"},
        "image_id": image_id(data),
        "question": f"{group}?",
        "question_group": group,
        "answer": answer,
        "choices": [],
        "domain": "natural",
        "renderer": "",
        "facts": "",
        "scene": "",
        "source": "made",
        "licence": "CC0-1.0",
        **more,
    }


def embedded(vectors: dict[str, Any]) -> Table:
    """Rows of EMBEDDED."""
    return Table([{"id": key, "vector": vector} for key, vector in vectors.items()], EMBEDDED)


def vectors(config: dict[str, Any], cache: Path, pictures: list[bytes], batch: int = 4) -> dict[str, Any]:
    """Vectors by picture id."""
    settings = EmbedConfig.model_validate({"encoder": config, "batch": batch, "cache_dir": cache})
    rows = Table([question(number, data) for number, data in enumerate(pictures)])
    return {row["id"]: row["vector"] for row in Embed(settings).gather(rows).rows}
