"""Take the pictures of the report that the docs show, with a real build and with charts that are drawn here.

    python tests/benchmarks/shoot_report.py BUILD [--images BUILD] [--out docs/img]

BUILD is a finished build of coding pairs, or "" for none; with `--images` one of image pairs is shown too. Fonts are those of the machine: Inter and JetBrains Mono look as in the docs.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright

from contextrl_data.stages.report import Overview, report_command, write_report

INK, GRID, SCALE = "#3a3f45", "#e6e3de", 3
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug")
SHADES = ("#4e79a7", "#e28e2c", "#59a14f")
CITIES = ("Bergen", "Oslo", "Hamar")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--images", default="", help="a finished build of image pairs")
    parser.add_argument("--keys", default="", help="keys that lead to the image pair to be shown")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent.parent / "docs/img")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        coding, images = Path(folder) / "coding.html", Path(folder) / "images.html"
        if asked.images:
            report_command(Path(asked.images).parent, asked.images, images, 16)
            shoot(browser, images, "#pairs", "light", asked.out / "report-image-pairs.png", asked.keys)
            shoot(browser, images, "#overview", "light", asked.out / "report-image-overview.png", height=1500)
        if not asked.build:
            return
        report_command(Path(asked.build).parent, asked.build, coding)
        rows = [row for number in range(24) for row in drawn_pair(number)]
        write_report(images, rows, Overview("Drawn line charts", pictures=48))
        shoot(browser, coding, "#overview", "light", asked.out / "report-overview.png")
        shoot(browser, coding, "#overview", "light", asked.out / "report-audit.png", part="Can a blind reader")
        shoot(browser, coding, "#pairs", "light", asked.out / "report-pairs.png", "jj")
        shoot(browser, coding, "#pairs", "dark", asked.out / "report-dark.png", "jjnn")
        shoot(browser, images, "#pairs", "light", asked.out / "report-images.png")
        shoot(browser, images, "#pairs", "dark", asked.out / "report-difference.png", "ddjj")
        browser.close()


def shoot(
    browser: Browser, path: Path, view: str, scheme: Any, out: Path, keys: str = "", height: int = 900, part: str = ""
) -> None:
    """One picture, after some keys; with `part`, of the section whose name begins so alone."""
    page: Page = browser.new_page(viewport={"width": 1440, "height": height}, color_scheme=scheme)
    page.goto(f"file://{path.resolve()}{view}")
    page.wait_for_selector("html[data-ready]")
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(200)
    page.wait_for_timeout(300)
    section = page.locator(f"section[aria-label^='{part}']") if part else page
    section.screenshot(path=out)
    page.close()
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


def drawn_pair(number: int) -> list[dict[str, Any]]:
    """Both directions of a pair of line charts that differ in one month of one city."""
    rng = random.Random(number)
    lines = {city: walk(rng) for city in CITIES}
    month, city = rng.randrange(1, 7), CITIES[number % 3]
    other = {**lines, city: list(lines[city])}
    other[city][month] = 8 + (lines[city][month] + 34) % 76
    sides = [(chart(lines), lines), (chart(other), other)]
    low, high = sorted((lines[city][month], other[city][month]))
    box = [x_of(month) - 30, y_of(high) - 12, x_of(month) + 30, y_of(low) + 12]
    rows = []
    for place in (0, 1):
        (image_pos, pos), (image_neg, neg) = sides[place], sides[1 - place]
        first = (number + place) % 2 == 0
        rows.append(
            {
                "id": f"line-{number:04}-{('forward', 'reverse')[place]}",
                "pair_id": f"line-{number:04}",
                "direction": ("forward", "reverse")[place],
                "split": ("train", "validation", "probe")[number % 3],
                "domain": "chart",
                "method": "rerendered",
                "renderer": "line_chart",
                "question": f"How many millimetres of rain fell in {city} in {MONTHS[month]}?",
                "answer": str(pos[city][month]),
                "answer_neg": str(neg[city][month]),
                "image_pos": {"bytes": image_pos, "path": None},
                "image_neg": {"bytes": image_neg, "path": None},
                "correct_option": "A" if first else "B",
                "box": box,
                "similarity": 0.981,
                "scores": [{"name": "changed_area", "value": 0.013}, {"name": "ssim_outside", "value": 1.0}],
                "blind_scores": [{"name": "file_bytes", "value": 0.5}, {"name": "sharpness", "value": 0.0}],
                "checks": [{"name": "answers follow from the facts", "passed": True, "detail": "computed"}],
                "facts_pos": json.dumps(facts(pos)),
                "facts_neg": json.dumps(facts(neg)),
                "source": "drawn",
                "licence": "CC0-1.0",
                "verdict": "UNCERTAIN" if number % 5 == 0 else "VALID",
                "judge": "rules",
            }
        )
    return rows


def walk(rng: random.Random) -> list[int]:
    found = [rng.randrange(25, 70)]
    while len(found) < len(MONTHS):
        found.append(min(85, max(8, found[-1] + rng.randrange(-18, 19))))
    return found


def facts(lines: dict[str, list[int]]) -> dict[str, Any]:
    return {city: dict(zip(MONTHS, values, strict=True)) for city, values in lines.items()}


def x_of(month: int) -> int:
    return 70 + month * 74


def y_of(value: int) -> int:
    return 400 - 4 * value


def chart(lines: dict[str, list[int]]) -> bytes:
    """The chart, 640 by 460 pixels: drawn three times as large and reduced, for smooth lines."""
    image = Image.new("RGB", (640 * SCALE, 460 * SCALE), "white")
    draw = ImageDraw.Draw(image)
    for value in range(0, 91, 20):
        y = y_of(value) * SCALE
        draw.line((60 * SCALE, y, 610 * SCALE, y), fill=GRID, width=SCALE)
        draw.text((48 * SCALE, y), str(value), fill=INK, font_size=13 * SCALE, anchor="rm")
    for month, name in enumerate(MONTHS):
        draw.text((x_of(month) * SCALE, 420 * SCALE), name, fill=INK, font_size=13 * SCALE, anchor="mm")
    for shade, (city, values) in zip(SHADES, lines.items(), strict=True):
        points = [(x_of(month) * SCALE, y_of(value) * SCALE) for month, value in enumerate(values)]
        draw.line(points, fill=shade, width=3 * SCALE, joint="curve")
        for x, y in points:
            draw.circle((x, y), 5 * SCALE, fill=shade, outline="white", width=SCALE)
        place = CITIES.index(city)
        draw.circle(((80 + 90 * place) * SCALE, 24 * SCALE), 5 * SCALE, fill=shade)
        draw.text(((92 + 90 * place) * SCALE, 24 * SCALE), city, fill=INK, font_size=13 * SCALE, anchor="lm")
    out = io.BytesIO()
    image.resize((640, 460), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
