"""Pairs of pictures: outlined, compared, and small enough; and pictures that are none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from report_pages import Watched, bar_chart, image_pair_rows, png, shown

from contextrl_data.stages.report import Overview, write_report
from contextrl_data.stages.report.pictures import LADDER, LEAST, MOST, budget_of, close_up, picture

BOX = "document.querySelector('.region').getBoundingClientRect()"
PICTURE = "document.querySelector('.frame img').getBoundingClientRect()"


CHART = png(bar_chart({"a": 5}, 100, 80)[0])


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width, height), 80).convert("RGB")


def test_two_pictures_with_their_answers_and_the_deciding_region(tmp_path: Path, watched: Watched) -> None:
    rows = image_pair_rows(4)
    write_report(tmp_path / "report.html", rows, Overview("Charts"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 2")
    row = rows[0]
    sides = page.locator(".side").all_inner_texts()
    right, wrong = (0, 1) if row["correct_first"] else (1, 0)
    assert "C+ supports the answer" in sides[right]
    assert row["answer"] in sides[right]
    assert row["answer_neg"] in sides[wrong]
    assert page.locator(".frame img").count() == 2
    box, shown_at = page.evaluate(f"{BOX}.toJSON()"), page.evaluate(f"{PICTURE}.toJSON()")
    scale = shown_at["width"] / 320
    assert box["x"] - shown_at["x"] == pytest.approx(row["box"][0] * scale, abs=1)
    assert box["bottom"] - shown_at["y"] == pytest.approx(row["box"][3] * scale, abs=1)
    assert page.get_by_role("table", name="Facts that differ").locator("tbody tr").all_inner_texts() == [
        f"values.Oslo\t{row['answer']}\t{row['answer_neg']}"
    ]
    page.get_by_role("button", name="Outline").click()
    page.locator(".region").first.wait_for(state="detached")
    assert page.get_by_role("img", name="Deciding region of picture A").is_visible()


def test_pictures_are_filtered_by_method_and_found_by_question_and_answer(tmp_path: Path, watched: Watched) -> None:
    rows = [row for number in range(9) for row in image_pair_rows(number)]
    rows[0]["domain"] = "table"
    write_report(tmp_path / "report.html", rows, Overview("Charts"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    page.get_by_label("Filter by method").select_option("edited")
    assert page.inner_text("#found") == "6 of 18 pairs"
    page.get_by_label("Filter by domain").select_option("table")
    assert page.inner_text("#found") == "1 of 18 pairs"
    page.get_by_role("button", name="Clear").click()
    assert page.inner_text("#found") == "18 of 18 pairs"
    page.get_by_label("Search").fill("value OSLO")
    assert page.inner_text("#found") == "2 of 18 pairs"
    assert page.get_by_label("Filter by renderer").count() == 0, "there is nothing to choose"


def test_the_difference_is_where_the_bar_grew_and_nowhere_else(tmp_path: Path, watched: Watched) -> None:
    (row, _) = image_pair_rows(1)
    write_report(tmp_path / "report.html", [row], Overview("Charts"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 1")
    page.keyboard.press("d")
    page.keyboard.press("d")
    canvas = page.get_by_role("img", name="Where picture B differs from picture A")
    canvas.wait_for()
    inside, outside = canvas.evaluate(
        """(canvas, [x0, y0, x1, y1]) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let counts = [0, 0];
            for (let n = 0; n < data.length; n += 4) {
                const x = (n / 4) % canvas.width, y = Math.floor(n / 4 / canvas.width);
                if (data[n] - data[n + 1] > 60) counts[x >= x0 && x < x1 && y >= y0 && y < y1 ? 0 : 1]++;
            }
            return counts;
        }""",
        row["box"],
    )
    assert outside == 0
    assert inside == 90 * (row["box"][2] - row["box"][0])  # 45 more, two pixels each


def test_the_pictures_can_be_flipped_in_place(tmp_path: Path, watched: Watched) -> None:
    write_report(tmp_path / "report.html", image_pair_rows(1), Overview("Charts"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 2")
    page.keyboard.press("d")
    one = page.locator(".flip img")
    one.wait_for()
    before = one.get_attribute("src")
    page.keyboard.press("f")
    page.locator(".flip .letter", has_text="B").wait_for()
    assert one.get_attribute("src") != before
    one.click()
    page.locator(".flip .letter", has_text="A").wait_for()
    assert one.get_attribute("src") == before


def test_nothing_gives_the_answer_away_while_it_is_hidden(tmp_path: Path, watched: Watched) -> None:
    rows = [{**row, "answer": "ELEVEN", "answer_neg": "TWELVE"} for row in image_pair_rows(1)]
    write_report(tmp_path / "report.html", rows, Overview("Charts"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "TWELVE")
    page.keyboard.press("b")
    page.locator(".side", has_text="hidden").first.wait_for()
    held = page.locator("#pair").aria_snapshot()
    assert held.count("ELEVEN") == 1, "the answer that is asked about"
    assert "TWELVE" not in held
    assert "C+" not in held


def test_a_picture_is_stored_once_and_a_broken_one_is_named(tmp_path: Path, watched: Watched) -> None:
    rows = image_pair_rows(1)
    broken = [{**row, "id": f"broken-{n}", "image_pos": {"bytes": b, "path": None}} for n, (row, b) in enumerate(zip(rows, (b"<svg onload='window.owned=1'/>", None), strict=True))]  # fmt: skip
    write_report(tmp_path / "report.html", [*rows, *broken], Overview("Charts"))
    page = watched.open(tmp_path / "report.html", "#pair=broken-0")
    shown(page, "cannot be read")
    page.keyboard.press("j")
    shown(page, "4 of 4")
    shown(page, "cannot be read")
    assert page.locator("script[id^=picture]").count() == 2
    assert page.evaluate("window.owned") is None


def test_boxes_fit_thumbnails_too(tmp_path: Path, watched: Watched) -> None:
    large, _ = bar_chart({"a": 10, "b": 20}, 1600, 1200)
    (row, _) = image_pair_rows(1)
    row = {**row, "image_pos": {"bytes": png(large), "path": None}, "image_neg": {"bytes": png(noise(1600, 1200)), "path": None}, "box": [800, 600, 1600, 1200]}  # fmt: skip
    write_report(tmp_path / "report.html", [row], Overview("Charts", pictures=20_000))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "shown as a thumbnail")
    box, shown_at = page.evaluate(f"{BOX}.toJSON()"), page.evaluate(f"{PICTURE}.toJSON()")
    assert box["width"] == pytest.approx(shown_at["width"] / 2, abs=1)
    assert box["bottom"] == pytest.approx(shown_at["bottom"], abs=1)


def test_the_deciding_region_of_a_thumbnail_comes_from_the_original(tmp_path: Path, watched: Watched) -> None:
    image = noise(1600, 1200)
    ImageDraw.Draw(image).rectangle((1000, 700, 1003, 711), fill="red")  # too small for any thumbnail
    (row, _) = image_pair_rows(1)
    row = {**row, "image_pos": {"bytes": png(image), "path": None}, "image_neg": {"bytes": png(noise(1600, 1200)), "path": None}, "box": [990, 690, 1014, 722]}  # fmt: skip
    write_report(tmp_path / "report.html", [row], Overview("Charts", pictures=20_000))
    page = watched.open(tmp_path / "report.html", "#pairs")
    side = row["correct_option"]
    part = page.get_by_role("img", name=f"Deciding region of picture {side}")
    part.wait_for()
    red = part.evaluate(
        """image => {
            const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            context.drawImage(image, 0, 0);
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            let red = 0;
            for (let n = 0; n < data.length; n += 4) if (data[n] - data[n + 1] > 80) red++;
            return [red, canvas.width, canvas.height];
        }"""
    )
    assert red[1:] == [24 + 2 * 9, 32 + 2 * 9]
    assert red[0] > 10
    assert page.locator("script[id^=picture]").count() == 4


@given(st.lists(st.integers(-50, 120), min_size=4, max_size=4))
def test_any_box_gives_a_region_or_none(box: list[int]) -> None:
    found = close_up(CHART, box, 2_000)
    if 0 <= box[0] < box[2] <= 100 and 0 <= box[1] < box[3] <= 80:
        assert found is not None
        assert min(Image.open(io.BytesIO(found.data)).size) > 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16", "LA"])
def test_every_mode_becomes_a_picture_within_its_budget(mode: str) -> None:
    out = io.BytesIO()
    source = noise(900, 700).convert("L") if mode == "I;16" else noise(900, 700).convert(mode)
    source.convert(mode if mode != "I;16" else "I").save(out, "TIFF")
    found = picture(out.getvalue(), 4_000)
    assert found is not None
    assert (found.width, found.height, found.mime, found.exact) == (900, 700, "image/webp", False)
    assert len(found.data) <= 4_000 or max(Image.open(io.BytesIO(found.data)).size) == LADDER[-1][0]


def test_a_small_picture_is_kept_to_the_byte() -> None:
    data = png(bar_chart({"a": 10})[0])
    found = picture(data, 60_000)
    assert found is not None
    assert (found.data, found.mime, found.exact) == (data, "image/png", True)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF"]))
def test_any_bytes_are_a_picture_or_none(tail: bytes, start: bytes) -> None:
    picture(start + tail, 2_000)


def test_the_budget_shrinks_with_the_number_of_pictures() -> None:
    assert budget_of(95_000_000, 2) == MOST
    assert budget_of(95_000_000, 10**7) == LEAST
    assert 14_000 * budget_of(95_000_000, 14_000) * 4 / 3 < 95_000_000


def first_that_fits(image: Image.Image, budget: int) -> bytes:
    """By the definition: every step is tried."""
    data = b""
    for side, quality in LADDER:
        scale = min(1.0, side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        out = io.BytesIO()
        small = image if size == image.size else image.resize(size, reducing_gap=2.0)
        small.save(out, "WEBP", quality=quality, method=2)
        data = out.getvalue()
        if len(data) <= budget:
            break
    return data


@pytest.mark.parametrize("budget", [1_500, 4_000, 9_000, 30_000])
@pytest.mark.parametrize("kind", ["chart", "noise", "slope"])
def test_steps_that_are_left_out_would_not_have_fitted(kind: str, budget: int) -> None:
    """A page of thumbnails is as sharp as if every step had been tried, for a fraction of the work."""
    images = {
        "chart": lambda: bar_chart({"Oslo": 30, "Molde": 20, "Hamar": 35}, 1000, 700)[0],
        "noise": lambda: Image.effect_noise((640, 480), 60).convert("RGB"),
        "slope": lambda: Image.linear_gradient("L").resize((900, 500)).convert("RGB"),
    }
    image = images[kind]()
    made = picture(bmp(image), budget)
    assert made is not None
    assert made.data == first_that_fits(image, budget)


def bmp(image: Image.Image) -> bytes:
    """A file that is never kept as it is."""
    out = io.BytesIO()
    image.save(out, "BMP")
    return out.getvalue()
