"""Datasets with one known fault each, and clean ones, all drawn from a seed: what the audit is measured on.

Clean sets are not bland: pairs of one group are alike (the same words, the same side longer), as in real data, so that
a test which took pairs for independent would raise false alarms.
"""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageFilter

Rows = list[dict[str, Any]]

SPLITS = ("train", "train", "train", "validation", "probe")
TEXT_PLANTS = {
    "longer": "longer",
    "first": "first",
    "answer_only": "answer_only",
    "context_words": "context_words",
    "identifiers": "identifiers",
    "rare_words": "rare_words",
    "removed_lines": "removed_lines",
    "added_lines": "added_lines",
    "patch_lines": "patch_lines",
    "more_turns": "more_turns",
    "answer_verbatim": "answer_verbatim",
    "duplicate": "duplicate rows",
    "contradiction": "contradictions",
    "equal": "equal contexts",
    "across": "contexts across splits",
    "near": "near-duplicate texts across splits",
    "group": "groups across splits",
    "licence": "licences missing",
    "benchmark id": "benchmark ids",
    "benchmark text": "benchmark texts",
}
"""Planted fault -> the check that must name it."""
IMAGE_PLANTS = {
    "more_pixels": "more_pixels",
    "more_bytes": "more_bytes",
    "sharper": "sharper",
    "jpeg": "image_traces",
    "embeddings": "embeddings",
    "same image": "contexts across splits",
    "near image": "near-duplicate images across splits",
    "benchmark image": "benchmark images",
}
STRENGTH = 0.75
"""How often a planted cue is on C+'s side."""
BENCHMARK_TEXT = " ".join(f"benchmark sentence number {n} speaks of its own matter" for n in range(6))


def text_rows(
    seed: int, count: int = 300, *, plant: str = "", both: bool = False, prose: bool = False, lines: int = 40
) -> Rows:
    """`count` directed pairs in groups of five; `both` makes the two directions of each, `prose` plain answers."""
    rng = random.Random(f"{seed} {plant} {both} {prose}")
    prose = prose or plant == "answer_verbatim"
    rows: Rows = []
    for number in range(count // 2 if both else count):
        group = number // 5
        if number % 5 == 0:
            words = [f"topic{rng.randrange(400)}" for _ in range(12)]
            longer = rng.random() < 0.5  # a whole group leans one way
        sides = [_side(rng, words, lines + rng.randrange(6) + 4 * (longer == (place == 0))) for place in (0, 1)]
        answers = [_answer(rng, number, place, prose) for place in (0, 1)]
        coin = rng.random() < 0.5
        for place in (0, 1) if both else (0,):
            rows.append(
                {
                    "id": f"{seed}-{number}-{place}",
                    "pair_id": f"{seed}-{number}",
                    "group": f"group {group}",
                    "split": SPLITS[group % len(SPLITS)],
                    "question": "Which context supports the answer?",
                    "answer": answers[place],
                    "context_pos": list(sides[place]),
                    "context_neg": list(sides[1 - place]),
                    "correct_first": coin == (place == 0),
                    "instance_pos": f"own__shop-{number}",
                    "licence": "MIT",
                    "source": "made here",
                }
            )
    _plant(rng, rows, plant)
    for row in rows:
        for name in ("context_pos", "context_neg"):
            row[name] = [{"role": "user", "content": part} for part in row[name]]
    return rows


def _side(rng: random.Random, words: list[str], count: int) -> list[str]:
    lines = [
        " ".join([*rng.choices(words, k=3), f"value_{rng.randrange(3000)}", f"seen{rng.randrange(200)}"])
        for _ in range(count)
    ]
    return ["\n".join(lines[:8]), "\n".join(lines[8:]) + f"\nrun {rng.randrange(10**9)}"]


def _answer(rng: random.Random, number: int, place: int, prose: bool) -> str:
    name = f"changed_{number}_{place}"
    if prose:
        return f"The cause is {name} near word{rng.randrange(60)}"
    removed, added = f"return old_{name} - {rng.randrange(90)}", f"return new_{name} + {rng.randrange(90)}"
    return f"--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n def word{rng.randrange(60)}():\n-    {removed}\n+    {added}\n"


def _lean(rng: random.Random, row: dict[str, Any]) -> list[str]:
    """The context that a planted cue is put into: mostly C+."""
    side: list[str] = row["context_pos" if rng.random() < STRENGTH else "context_neg"]
    return side


def _plant(rng: random.Random, rows: Rows, plant: str) -> None:
    for row in rows:
        lines = row["answer"].split("\n")
        if plant == "longer":
            _lean(rng, row)[1] += "\n" + " ".join(["padding"] * 90)
        elif plant == "first":
            row["correct_first"] = rng.random() < STRENGTH
        elif plant == "answer_only":
            row["answer"] += " lefthand" if row["correct_first"] == (rng.random() < STRENGTH) else " righthand"
        elif plant == "context_words":
            _lean(rng, row)[1] += " finally"
        elif plant in ("identifiers", "rare_words"):
            _lean(rng, row)[1] += f" old_{row['answer'].split('old_')[1].split(' ')[0]}"
        elif plant in ("removed_lines", "added_lines", "patch_lines"):
            wanted = {"removed_lines": "-  ", "added_lines": "+  ", "patch_lines": ("-  ", "+  ")}[plant]
            _lean(rng, row)[1] += "\n" + "\n".join(line[1:] for line in lines if line.startswith(wanted))
        elif plant == "more_turns":
            _lean(rng, row).append("one turn more")
        elif plant == "answer_verbatim":
            _lean(rng, row)[1] += "\n" + row["answer"]
        elif plant == "licence":
            row["licence"] = ""
    _plant_rows(rng, rows, plant)


def _plant_rows(rng: random.Random, rows: Rows, plant: str) -> None:
    """Faults of single rows."""
    one, other = rows[0], rows[-1]  # of different groups and splits
    if plant == "duplicate":
        rows.append({**one, "id": "again"})
    elif plant == "contradiction":
        rows.append({**one, "id": "turned", "context_pos": one["context_neg"], "context_neg": one["context_pos"]})
    elif plant == "equal":
        one["context_neg"] = one["context_pos"]
    elif plant == "across":
        other["context_neg"] = one["context_pos"]
    elif plant == "near":
        other["context_neg"] = [one["context_pos"][0], one["context_pos"][1] + " one word more"]
    elif plant == "group":
        other["group"] = one["group"]
    elif plant == "benchmark id":
        one["instance_pos"] = "Django__django-11099"
    elif plant == "benchmark text":
        one["context_neg"][1] += "\n" + BENCHMARK_TEXT


def image_rows(seed: int, count: int = 200, *, plant: str = "", both: bool = False, size: int = 96) -> Rows:
    """`count` directed pairs of small pictures: a scene, and the scene with one patch changed."""
    rng = random.Random(f"{seed} {plant} {both} images")
    noise = np.random.default_rng(rng.randrange(2**32))
    rows: Rows = []
    for number in range(count // 2 if both else count):
        base = _scene(noise, size)
        changed = base.copy()
        part = size // 3
        x, y = rng.randrange(size - part), rng.randrange(size - part)
        changed[y : y + part, x : x + part] = noise.integers(0, 255, 3)
        pictures = [base, changed] if rng.random() < 0.5 else [changed, base]
        packed = [_encoded(Image.fromarray(picture), "PNG") for picture in pictures]
        lean = rng.random() < STRENGTH
        if plant in ("more_pixels", "more_bytes", "sharper", "jpeg"):
            marked = 0 if lean else 1
            packed[marked] = _mark(pictures[marked], plant)
        vectors = noise.normal(size=(2, 16))
        if plant == "embeddings":
            vectors[0 if lean else 1, 3] += 3.0
        coin = rng.random() < 0.5
        for place in (0, 1) if both else (0,):
            rows.append(
                {
                    "id": f"{seed}-{number}-{place}",
                    "pair_id": f"{seed}-{number}",
                    "group": f"scene {number // 2}",
                    "split": SPLITS[number // 2 % len(SPLITS)],
                    "question": "What stands there?",
                    "answer": f"object {2 * rng.randrange(15) + place}",
                    "image_pos": {"bytes": packed[place], "path": None},
                    "image_neg": {"bytes": packed[1 - place], "path": None},
                    "embedding_pos": vectors[place].tolist(),
                    "embedding_neg": vectors[1 - place].tolist(),
                    "correct_first": coin == (place == 0),
                    "licence": "CC0-1.0",
                    "source": "made here",
                }
            )
    if plant == "embeddings":  # nothing but vectors
        rows = [{name: value for name, value in row.items() if not name.startswith("image_")} for row in rows]
    if plant == "same image":
        rows[-1]["image_neg"] = rows[0]["image_pos"]
    if plant == "near image":
        again = Image.open(io.BytesIO(rows[0]["image_pos"]["bytes"])).convert("RGB")
        rows[-1]["image_neg"] = {"bytes": _encoded(again, "JPEG", quality=92), "path": None}
    return rows


def _scene(noise: np.random.Generator, size: int) -> np.ndarray:
    """Soft blobs, a little grain."""
    blobs = Image.fromarray(noise.integers(0, 255, (6, 6, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(blobs, float) + noise.normal(0, 2, (size, size, 1)), 0, 255).astype(np.uint8)


def _mark(picture: np.ndarray, plant: str) -> bytes:
    image = Image.fromarray(picture)
    if plant == "more_pixels":
        image = image.resize((104, 104))
    elif plant == "sharper":
        image = image.filter(ImageFilter.UnsharpMask(2, 200, 0))
    elif plant == "jpeg":  # a picture that has been a JPEG, though it is a PNG now
        image = Image.open(io.BytesIO(_encoded(image, "JPEG", quality=80)))
    return _encoded(image, "PNG", compress_level=0 if plant == "more_bytes" else 6)


def _encoded(image: Image.Image, kind: str, **how: Any) -> bytes:
    packed = io.BytesIO()
    image.save(packed, kind, **how)
    return packed.getvalue()


def write_set(folder: Path, rows: Rows) -> Path:
    """The rows as parquet files, one a split."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in dict.fromkeys(row["split"] for row in rows):
        part = [row for row in rows if row["split"] == split]
        pq.write_table(pa.Table.from_pylist(part), folder / f"{split}-00000-of-00001.parquet", compression="zstd")
    return folder


def write_lists(folder: Path, rows: Rows) -> dict[str, list[str]]:
    """Benchmark lists that the planted rows are on, as settings of `contamination`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ids.txt").write_text("# a list\n\ndjango__django-*\n")
    (folder / "texts.txt").write_text(BENCHMARK_TEXT + "\n")
    lists = {"ids": [str(folder / "ids.txt")], "texts": [str(folder / "texts.txt")]}
    if "image_pos" in rows[0]:
        images = folder / "images"
        images.mkdir(exist_ok=True)
        picture = Image.open(io.BytesIO(rows[0]["image_pos"]["bytes"])).convert("RGB")
        picture.resize((120, 120)).save(images / "benchmark.jpg", quality=90)
        lists["images"] = [str(images)]
    return lists
