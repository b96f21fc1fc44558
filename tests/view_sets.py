"""Exported datasets on disk, of text pairs and of image pairs, for the tests of views."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from factories import pair_rows
from PIL import Image

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.export import write_dataset
from contextrl_data.stages.images.rows import IMAGE_PAIR
from contextrl_data.stages.rows import PAIR

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30), "white": (250, 250, 250)}
SPLITS = ("train", "train", "train", "validation", "probe")


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


def text_rows(count: int = 10) -> RowList:
    """Both directions of `count` text pairs, in three splits."""
    return RowList({**row, "split": SPLITS[n % 5]} for n in range(count) for row in pair_rows(n))


def write_text_set(folder: Path, count: int = 10) -> Path:
    """A dataset of text pairs, as a build exports it."""
    write_dataset(folder, text_rows(count), PAIR)
    return folder


def picture(colour: str, seed: int, size: int = 56) -> bytes:
    """A coloured square on grey; PNG or JPEG, by turns, since bytes must pass whatever they are."""
    image = Image.new("RGB", (size, size), (random.Random(seed).randrange(60, 200),) * 3)
    image.paste(COLOURS[colour], (size // 4, size // 4, 3 * size // 4, 3 * size // 4))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if seed % 3 == 0 else "PNG")
    return buffer.getvalue()


def image_pair_rows(number: int, **change: Any) -> list[Row]:
    """Both directions of one image pair."""
    right, wrong = random.Random(number).sample(list(COLOURS), 2)
    sides = [(right, picture(right, 2 * number)), (wrong, picture(wrong, 2 * number + 1))]
    rows = []
    for place, direction in enumerate(("forward", "reverse")):
        (answer, pos), (other, neg) = sides[place], sides[1 - place]
        first = (number % 2 == 0) ^ (place == 1)
        row: Row = {
            "id": f"image-{number:05}-{direction}",
            "pair_id": f"image-{number:05}",
            "direction": direction,
            "split": SPLITS[number % 5],
            "domain": ("natural", "chart", "geometry")[number % 3],
            "method": "rerendered",
            "question": f"Which colour has square {number}?",
            "answer": answer,
            "answer_neg": other,
            "choices": list(COLOURS) if number % 2 else [],
            "image_pos": {"bytes": pos, "path": None},
            "image_neg": {"bytes": neg, "path": f"{number}-{place}.png"},
            "correct_first": first,
            "correct_option": "A" if first else "B",
            "box": [14, 14, 42, 42],
            "similarity": 0.9,
            "scores": [],
            "blind_scores": [],
            "checks": [],
            "group": f"group-{number}",
            "image_id_pos": f"{number}-{answer}",
            "image_id_neg": f"{number}-{other}",
            "facts_pos": "",
            "facts_neg": "",
            "renderer": "square",
            "source": "squares",
            "licence": "CC0-1.0",
            "verdict": "VALID",
            "judge": "rules",
        }
        rows.append({**row, **change})
    return rows


def write_image_set(folder: Path, rows: list[Row] | None = None) -> Path:
    """A dataset of image pairs, in the files that a build exports."""
    rows = rows if rows is not None else [row for number in range(10) for row in image_pair_rows(number)]
    (folder / "data").mkdir(parents=True)
    for split in dict.fromkeys(row["split"] for row in rows):
        table = pa.Table.from_pylist([row for row in rows if row["split"] == split], schema=IMAGE_PAIR)
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet", compression="zstd")
    return folder
