"""Pairs for reports, of runs and of pictures, and a browser page that is watched."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factories import pair_rows
from PIL import Image, ImageDraw
from playwright.sync_api import Page

Row = dict[str, Any]
CITIES = ("Bergen", "Hamar", "Molde", "Narvik", "Oslo")


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


class Watched:
    """A page with everything that went wrong on it: console messages, errors, requests that leave the file."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:image/", "blob:")):
            self.problems.append(url)

    def open(self, path: Path, view: str = "") -> Page:
        self.page.goto("about:blank")  # the same file with another #view would not be loaded again
        self.page.goto(f"file://{path}{view}")
        self.page.wait_for_selector("html[data-ready]")
        return self.page


def shown(page: Page, text: str) -> None:
    """Wait until the pair's pane holds the text."""
    page.locator("#pair", has_text=text).wait_for(state="attached")  # a polled function would need unsafe-eval


def coding_pairs(count: int = 20) -> RowList:
    """Both directions of so many pairs of runs."""
    splits = ("train", "train", "train", "validation", "probe")
    return RowList(
        {**row, "split": splits[n % 5]}
        for n in range(count)
        for row in pair_rows(n, kind="outcome" if n % 4 == 0 else "sibling")
    )


def png(image: Image.Image) -> bytes:
    """The picture's file."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def bar_chart(values: dict[str, int], width: int = 320, height: int = 240) -> tuple[Image.Image, dict[str, list[int]]]:
    """A chart, and the box of each bar's column: x0, y0, x1, y1 in pixels."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    slot, boxes = (width - 40) // len(values), {}
    for place, (name, value) in enumerate(values.items()):
        left = 30 + place * slot
        draw.rectangle((left, height - 30 - 2 * value, left + slot // 2, height - 30), fill="#4c78a8")
        draw.text((left, height - 24), name, fill="#333333")
        boxes[name] = [left, height - 30 - 200, left + slot // 2 + 1, height - 29]
    draw.line((24, height - 30, width - 10, height - 30), fill="#555555", width=2)
    return image, boxes


def image_pair_rows(number: int) -> list[Row]:
    """Both directions of one re-rendered pair, in the columns of IMAGE_PAIR."""
    rng = random.Random(number)
    values = {name: rng.randrange(10, 40) for name in CITIES}
    asked = CITIES[number % len(CITIES)]
    other = {**values, asked: values[asked] + 45}
    (first, boxes), (second, _) = bar_chart(values), bar_chart(other)
    sides = [(png(first), values), (png(second), other)]
    return [_image_row(number, place, sides, asked, boxes[asked]) for place in (0, 1)]


def _image_row(number: int, place: int, sides: list[tuple[bytes, dict[str, int]]], asked: str, box: list[int]) -> Row:
    (image_pos, pos), (image_neg, neg) = sides[place], sides[1 - place]
    first = (number + place) % 2 == 0
    return {
        "id": f"chart-{number:05}-{('forward', 'reverse')[place]}",
        "pair_id": f"chart-{number:05}",
        "direction": ("forward", "reverse")[place],
        "split": "train" if number % 4 else "probe",
        "domain": "chart",
        "method": "rerendered" if number % 3 else "edited",
        "question": f"What is the value of {asked}?",
        "answer": str(pos[asked]),
        "answer_neg": str(neg[asked]),
        "choices": [],
        "image_pos": {"bytes": image_pos, "path": None},
        "image_neg": {"bytes": image_neg, "path": None},
        "correct_first": first,
        "correct_option": "A" if first else "B",
        "box": box,
        "similarity": 0.97,
        "scores": [{"name": "ssim_outside", "value": 0.995}],
        "blind_scores": [{"name": "file_bytes", "value": 0.5}],
        "checks": [{"name": "answer flips", "passed": True, "detail": "5 of 5"}],
        "group": f"scene-{number}",
        "image_id_pos": f"{number}-{place}",
        "image_id_neg": f"{number}-{1 - place}",
        "facts_pos": json.dumps({"values": pos, "title": "Sales"}),
        "facts_neg": json.dumps({"values": neg, "title": "Sales"}),
        "renderer": "bar_chart",
        "source": "rendered",
        "licence": "CC0-1.0",
        "verdict": "UNCERTAIN" if number % 5 == 0 else "VALID",
        "judge": "rules",
    }
