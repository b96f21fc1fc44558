"""Size of the report, and how soon it opens in headless Chromium, for coding pairs and for pairs of pictures.

    python tests/benchmarks/bench_report.py [--runs FILE] [--coding 1000 10000] [--images 7000] [--max-size 95]

FILE holds real trajectories, one JSON object with `messages` a line (.jsonl or .jsonl.zst); without it the runs shipped
in data/samples are taken. Each pair shows two of them, varied so that no two pairs share a text, and cut to what a
prompt of 32,768 tokens leaves for one context. Two rows make a pair, one for each direction, as in an export. Pictures
are drawn here: three of four pairs are charts, the fourth is noise, the worst case for a thumbnail. 252 pairs are drawn;
further ones are these with other bytes behind the picture's end, which to the report are other pictures.

"answers" is the time from the call to open the file until the page has drawn its list and takes keys; "pair" until the
first pair is shown; "loaded" until the browser has read the whole file; "walk" the median of 20 steps to another pair.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import zstandard
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright

from contextrl_data.stages.report import Overview, write_report

Row = dict[str, Any]
Messages = list[dict[str, str]]
ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "data/samples/trajectories/pairs.jsonl"
DRAWN = 252
"""Pairs of pictures that are drawn; a multiple of the number of columns."""
CONTEXT_CHARS = 60_000
"""About half of 32,768 tokens, less the answer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=SAMPLES)
    parser.add_argument("--coding", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--images", type=int, nargs="*", default=[7000])
    parser.add_argument("--max-size", type=int, default=95, help="megabytes at which a page stops growing")
    parser.add_argument("--keep", type=Path, help="leave the pages here")
    asked = parser.parse_args()
    runs = read_runs(asked.runs)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        print(f"{len(runs)} runs, median {statistics.median(map(length, runs)):,.0f} characters after the cut")
        print(f"load {os.getloadavg()[0]:.1f}")
        print("| pairs (rows) | shown | written in (processor) | file | answers | pair | loaded | walk | search |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        target, bound = asked.keep or Path(folder), asked.max_size * 1_000_000
        for count in asked.coding:
            rows = coding_rows(runs, count)
            measure(browser, target / f"coding-{count}.html", f"{count:,} coding", rows, count, 0, bound)
        for count in asked.images:
            rows = image_rows(count)
            measure(browser, target / f"images-{count}.html", f"{count:,} images", rows, 2 * count, 2 * count, bound)
        browser.close()


def measure(
    browser: Browser, path: Path, name: str, rows: Iterator[Row], total: int, pictures: int, max_bytes: int
) -> None:
    """Write one page, open it, and print one line of the table."""
    timed = Timed(rows)
    begun, worked = time.perf_counter(), time.process_time()
    shown = write_report(path, timed, Overview(name, total=total, pictures=pictures), max_bytes)
    written = time.perf_counter() - begun - timed.seconds
    worked = time.process_time() - worked - timed.worked
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    begun = time.perf_counter()
    page.goto(f"file://{path.resolve()}#pairs", wait_until="commit", timeout=120_000)
    page.wait_for_selector("html[data-ready]")
    answers = time.perf_counter() - begun
    page.wait_for_selector("#pair h2")
    pair = time.perf_counter() - begun
    page.wait_for_load_state("load", timeout=120_000)
    loaded = time.perf_counter() - begun
    walk = statistics.median(step(page, shown * n // 20) for n in range(20))
    search = page.evaluate(
        "() => { const t = performance.now(); $('search').value = 'forward 7'; apply(); return performance.now() - t; }"
    )
    page.close()
    assert not problems, problems
    figures = [f"{answers:.2f} s", f"{pair:.2f} s", f"{loaded:.2f} s", f"{walk:.0f} ms", f"{search:.0f} ms"]
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    spent = f"{written:.0f} s ({worked:.0f} s)"
    print(f"| {name} ({total:,}) | {shown:,} | {spent} | {size} | " + " | ".join(figures) + " |", flush=True)


class Timed:
    """Rows, and the time that making them took: it is no part of writing a page."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self.rows = rows
        self.seconds = self.worked = 0.0

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        begun, worked = time.perf_counter(), time.process_time()
        try:
            return next(self.rows)
        finally:
            self.seconds += time.perf_counter() - begun
            self.worked += time.process_time() - worked


def step(page: Page, place: int) -> float:
    """Milliseconds until another pair is on the page."""
    took: float = page.evaluate("async n => { const t = performance.now(); await go(n); return performance.now() - t; }", place)  # fmt: skip
    return took


def read_runs(path: Path) -> list[Messages]:
    """Trajectories, cut to the length of a context."""
    with path.open("rb") as raw:
        plain = zstandard.ZstdDecompressor().stream_reader(raw) if path.suffix == ".zst" else raw
        lines = [json.loads(line) for line in io.TextIOWrapper(plain, "utf-8")]
    return [cut([{"role": one["role"], "content": text_of(one)} for one in line["messages"]]) for line in lines]


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def cut(messages: Messages) -> Messages:
    kept, room = [], CONTEXT_CHARS
    for message in messages:
        if room <= 0:
            break
        kept.append({**message, "content": message["content"][:room]})
        room -= len(message["content"])
    return kept


def length(messages: Messages) -> int:
    return sum(len(message["content"]) for message in messages)


def varied(messages: Messages, number: int) -> Messages:
    """The run with other numbers in it: as long, and equal to no other copy."""
    return [
        {
            **message,
            "content": re.sub(r"\d+", lambda found: str(int(found[0][:9]) + number), message["content"]) + f" {number}",
        }
        for message in messages
    ]


def coding_rows(runs: list[Messages], count: int) -> Iterator[Row]:
    """`count` rows, two for each pair of runs."""
    for number in range(count // 2):
        rng = random.Random(number)
        place = rng.randrange(len(runs))
        sides = [varied(runs[place], number), varied(runs[(place + 1) % len(runs)], number + 1)]
        patches = [
            f"--- a/src/f_{number}.py\n+++ b/src/f_{number}.py\n@@ -1 +1 @@\n-old_{n}\n+new_{n}\n" for n in (0, 1)
        ]
        for direction in (0, 1):
            yield coding_row(number, direction, sides, patches)


def coding_row(number: int, direction: int, sides: list[Messages], patches: list[str]) -> Row:
    first = (number + direction) % 2 == 0
    row = {
        "id": f"{number:06}-{('forward', 'reverse')[direction]}",
        "pair_id": f"{number:06}",
        "direction": ("forward", "reverse")[direction],
        "split": ("train", "train", "probe")[number % 3],
        "domain": "coding",
        "kind": ("sibling", "outcome")[number % 2],
        "question": "Which trajectory, A or B, led to this patch?",
        "answer": patches[direction],
        "answer_neg": patches[1 - direction],
        "context_pos": sides[direction],
        "context_neg": sides[1 - direction],
        "correct_first": first,
        "correct_option": "A" if first else "B",
        "view": "full",
        "repo": f"owner/repository_{number % 40}",
        "file": f"src/f_{number}.py",
        "symbol": f"function_{number}",
        "source": "bench",
        "licence": "MIT",
        "verdict": "VALID" if number % 10 else "UNCERTAIN",
        "judge": "rules",
        "checks": [{"name": "answer passes the tests of C+", "passed": True, "detail": "resolved"}],
        "measures": [{"name": f"measure_{n}", "value": number / (n + 3)} for n in range(17)],
        "blind_scores": [{"name": f"baseline_{n}", "value": 0.5} for n in range(6)],
        "tokens": 32_000,
        "tokenizer": "cl100k_base",
    }
    for side, place in (("pos", direction), ("neg", 1 - direction)):
        row[f"instance_{side}"] = f"owner__repository.{number}.{place}"
        row[f"trajectory_{side}"] = f"owner__repository.{number}.{place}.model.0"
        row[f"problem_statement_{side}"] = f"function_{number} returns the wrong value {place}.\n" * 12
        row[f"model_{side}"], row[f"resolved_{side}"] = "model", True
    return row


def image_rows(count: int) -> Iterator[Row]:
    """Both directions of `count` pairs of pictures."""
    for number in range(count):
        values, other, images = drawn(number % DRAWN)
        tail = number.to_bytes(4, "big")
        sides = [(images[0] + tail, values[number % 6]), (images[1] + tail, other[number % 6])]
        for direction in (0, 1):
            (image_pos, answer), (image_neg, answer_neg) = sides[direction], sides[1 - direction]
            first = (number + direction) % 2 == 0
            yield {
                "id": f"{number:06}-{('forward', 'reverse')[direction]}",
                "pair_id": f"{number:06}",
                "direction": ("forward", "reverse")[direction],
                "split": "train",
                "domain": ("chart", "natural")[number % 4 == 3],
                "method": "rerendered",
                "question": f"What is the value of column {number % 6}?",
                "answer": str(answer),
                "answer_neg": str(answer_neg),
                "image_pos": {"bytes": image_pos, "path": None},
                "image_neg": {"bytes": image_neg, "path": None},
                "correct_option": "A" if first else "B",
                "box": [60 + number % 6 * 90, 40, 110 + number % 6 * 90, 440],
                "similarity": 0.97,
                "scores": [{"name": f"score_{n}", "value": 0.5} for n in range(8)],
                "blind_scores": [{"name": "file_bytes", "value": 1.0}],
                "checks": [],
                "facts_pos": json.dumps({"values": values}),
                "facts_neg": json.dumps({"values": other}),
                "renderer": "bar_chart",
                "source": "bench",
                "licence": "CC0-1.0",
                "verdict": "VALID",
                "judge": "rules",
            }


@cache
def drawn(number: int) -> tuple[list[int], list[int], tuple[bytes, bytes]]:
    """The values of two charts, and their files."""
    rng = random.Random(number)
    values = [rng.randrange(10, 50) for _ in range(6)]
    other = [value + 40 * (n == number % 6) for n, value in enumerate(values)]
    return values, other, (chart(values, number), chart(other, number))


def chart(values: list[int], number: int) -> bytes:
    """A chart of 640 by 480 pixels as PNG; every fourth lies on noise and is a JPEG."""
    image = (
        Image.effect_noise((640, 480), 60).convert("RGB") if number % 4 == 3 else Image.new("RGB", (640, 480), "white")
    )
    draw = ImageDraw.Draw(image)
    for place, value in enumerate(values):
        left = 60 + place * 90
        draw.rectangle(
            (left, 440 - 4 * value, left + 50, 440), fill=f"hsl({(number * 37 + place * 60) % 360}, 60%, 50%)"
        )
        draw.text((left, 450), f"column {place}", fill="black", font_size=14)
    out = io.BytesIO()
    image.save(out, "JPEG" if number % 4 == 3 else "PNG")
    return out.getvalue()


if __name__ == "__main__":
    main()
