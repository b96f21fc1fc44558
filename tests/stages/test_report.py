"""The report in real Chromium: it opens, walks, filters, loads nothing, and shows hostile text as text."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import pair_rows
from playwright.sync_api import Browser, Page, sync_playwright

from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.card import write_card
from contextrl_data.stages.export import write_dataset
from contextrl_data.stages.report import report_command, write_report
from contextrl_data.stages.report.page import Overview
from contextrl_data.stages.rows import PAIR

Row = dict[str, Any]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = [
    "</script><script>window.owned = 1</script>",
    "<!--<script>",
    "]]></style><img src=x onerror='window.owned = 1'>",
    "<b>bold</b> & \u2028 \u2029 \U0001f600",
    "javascript:window.owned=1",
]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium on this machine: install chromium"
)


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


class Watched:
    """A page with everything that went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page, self.problems = page, []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or self.problems.append(request.url))

    problems: list[str]

    def open(self, path: Path, view: str = "") -> Page:
        self.page.goto(f"file://{path}{view}")
        self.page.wait_for_selector("html[data-ready]")
        return self.page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    held = Watched(page)
    yield held
    assert held.problems == []
    page.close()


def corpus(count: int = 20) -> RowList:
    splits = ("train", "train", "train", "validation", "probe")
    return RowList(
        {**row, "split": splits[n % 5]}
        for n in range(count)
        for row in pair_rows(n, kind="outcome" if n % 4 == 0 else "sibling")
    )


def shown(page: Page, text: str) -> None:
    """Wait until the pair's pane holds the text."""
    page.wait_for_function("text => document.getElementById('pair').textContent.includes(text)", arg=text)


def test_the_overview_shows_the_funnel_the_baselines_and_the_settings(tmp_path: Path, watched: Watched) -> None:
    funnel = [
        {
            "stage": "select",
            "rows_in": 90,
            "kept": 40,
            "dropped": {"target reached": 49},
            "failed": {"docker": 1},
            "rows_out": 40,
            "steps": [["pairs", 90], ["selected", 40]],
            "message": "",
        }
    ]
    audit = [
        {"name": "longer", "accuracy": 0.5, "low": 0.35, "high": 0.65, "n": 40},
        {"name": "identifiers", "accuracy": 0.9, "low": 0.77, "high": 0.96, "n": 40},
    ]
    overview = Overview("Pairs", funnel, audit, {"select": {"seed": 7}}, [("pairs", 40)], ["Mind the gap."])
    assert write_report(tmp_path / "report.html", corpus(), overview) == 40
    page = watched.open(tmp_path / "report.html")
    text = page.inner_text("#overview")
    for part in ("49 dropped: target reached", "1 failed at docker", "pairs 90 → selected 40", "Mind the gap."):
        assert part in text
    assert page.get_by_role("row", name="longer").get_by_text("at chance", exact=True).is_visible()
    assert page.get_by_role("row", name="identifiers").get_by_text("not at chance").is_visible()
    page.get_by_text("Everything that was set").click()
    assert "seed: 7" in page.inner_text("#overview")


def test_the_keyboard_walks_the_pairs(tmp_path: Path, watched: Watched) -> None:
    rows = corpus()
    write_report(tmp_path / "report.html", rows, Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 40")
    for key, place in (("j", 2), ("ArrowRight", 3), ("j", 4), ("k", 3), ("ArrowLeft", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        shown(page, f"{place} of 40")
    page.keyboard.press("k")
    shown(page, "1 of 40")
    assert page.url.endswith(f"#pair={rows[0]['id']}")
    page.keyboard.press("o")
    page.wait_for_selector("#overview:not([hidden])")
    watched.open(tmp_path / "report.html", f"#pair={rows[6]['id']}")
    page.reload()
    shown(page, "7 of 40")


def test_filters_and_search_narrow_the_list(tmp_path: Path, watched: Watched) -> None:
    rows = corpus()
    write_report(tmp_path / "report.html", rows, Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    for label, column, value in (
        ("Filter by kind", "kind", "outcome"),
        ("Filter by split", "split", "probe"),
        ("Filter by verdict", "verdict", "UNCERTAIN"),
        ("Filter by repo", "repo", rows[0]["repo"]),
    ):
        page.get_by_label(label).select_option(value)
        wanted = sum(row[column] == value for row in rows)
        assert page.inner_text("#found") == f"{wanted} of 40 pairs"
        page.get_by_label(label).select_option("*")
    page.keyboard.press("/")
    page.wait_for_function("document.activeElement.id === 'search'")
    page.keyboard.type("function_3")
    assert page.inner_text("#found") == "2 of 40 pairs"
    page.keyboard.type(" nowhere")
    shown(page, "No pair matches the filters.")


def test_the_sides_are_labelled_aligned_and_can_be_hidden(tmp_path: Path, watched: Watched) -> None:
    (row,) = rows = corpus()[2:3]
    row["context_pos"][2]["content"] = "THOUGHT: mend it.\n\n```bash\n<EDIT_MASKED>\n```"
    row["context_neg"][2]["content"] = "THOUGHT: mend it.\n\n```bash\n<EDIT_MASKED>\n```"
    write_report(tmp_path / "report.html", rows, Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 1")
    sides = page.locator(".side").all_inner_texts()
    right, wrong = (0, 1) if row["correct_first"] else (1, 0)
    assert "supports the answer" in sides[right]
    assert row["trajectory_pos"] in sides[right]
    assert row["trajectory_neg"] in sides[wrong]
    assert page.locator("mark", has_text="edit masked").count() == 2
    assert page.get_by_text("Task: the same in both").is_visible()
    assert "-    return" in page.locator(".diff .del").first.inner_text()
    differing = page.locator(".step").nth(right).locator("span.only").all_inner_texts()
    other = "\n".join(message["content"] for message in row["context_neg"][:4])
    assert differing
    assert not any(line.strip() in other.split("\n") for line in differing)
    page.keyboard.press("b")
    page.wait_for_function("!document.getElementById('pair').textContent.includes('supports the answer')")
    assert "Evidence" not in page.inner_text("#pair")


def test_hostile_text_is_text(tmp_path: Path, watched: Watched) -> None:
    rows = corpus(len(HOSTILE))
    for place, row in enumerate(rows):
        bad = HOSTILE[place // 2]
        for column in ("question", "answer", "file", "symbol", "repo", "source", "trajectory_pos", "model_pos"):
            row[column] = bad
        row["problem_statement_pos"] = row["answer_neg"] = bad
        row["checks"][0]["detail"] = bad
        row["context_pos"][2]["content"] = f"```bash\n{bad}\n```"
        row["context_neg"][1]["role"] = bad
    bad_overview = Overview("</title>" + HOSTILE[0], config={"a": HOSTILE[0]}, limits=HOSTILE, tiles=[(HOSTILE[2], 1)])
    write_report(tmp_path / "report.html", rows, bad_overview)
    page = watched.open(tmp_path / "report.html")
    assert page.inner_text("#title") == "</title>" + HOSTILE[0]
    page.goto(f"file://{tmp_path}/report.html#pairs")
    for place, row in enumerate(rows):
        shown(page, f"{place + 1} of {len(rows)}")
        visible = page.text_content("#pair") or ""
        assert row["answer"] in visible
        page.keyboard.press("j")
    assert page.evaluate("window.owned") is None
    assert page.locator("#pair img, #pair script, #overview img, #overview b b").count() == 0


def test_many_pairs_are_unpacked_only_when_opened(tmp_path: Path, watched: Watched) -> None:
    rows = (row for n in range(400) for row in pair_rows(n))
    filled = ({**row, "context_pos": row["context_pos"] * 3} for row in rows)
    assert write_report(tmp_path / "report.html", filled, Overview("Pairs", total=5000)) == 800
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 800")
    assert page.inner_text("#found") == "800 of 800 pairs (of 5000 in the dataset)"
    assert page.evaluate("chunks.size") == 1
    assert page.locator(".item").count() < 50
    page.evaluate("go(799)")
    shown(page, "800 of 800")
    assert page.evaluate("chunks.size") == 2


def test_every_control_has_a_name_in_light_and_dark(tmp_path: Path, browser: Browser) -> None:
    write_report(tmp_path / "report.html", corpus(), Overview("Pairs"))
    colours = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(f"file://{tmp_path}/report.html#pairs")
        shown(page, "1 of 40")
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        unnamed = page.evaluate(
            "[...document.querySelectorAll('button,input,select,nav,aside,article,table')]"
            ".filter(e => !e.textContent.trim() && !e.getAttribute('aria-label')).length"
        )
        assert unnamed == 0
        assert page.locator("#list [role=option][aria-selected=true]").count() == 1
        page.close()
    assert colours[0] != colours[1]


def test_the_command_reports_on_a_dataset_folder(tmp_path: Path, watched: Watched) -> None:
    write_dataset(tmp_path / "mine", corpus(), PAIR)
    write_card(tmp_path / "mine", config={"select": {"seed": 3}})
    path = report_command(tmp_path, str(tmp_path / "mine"), None, 10)
    assert path == tmp_path / "mine-report.html"
    page = watched.open(path, "#pairs")
    assert page.inner_text("#found") == "10 of 10 pairs (of 40 in the dataset)"
    assert page.get_by_label("Filter by split").locator("option").count() == 4
    out = report_command(tmp_path, str(tmp_path / "mine"), tmp_path / "deep" / "page.html", 500)
    assert watched.open(out, "#pairs").inner_text("#found") == "40 of 40 pairs"


def test_nothing_to_report_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no build below"):
        report_command(tmp_path, None, None, 10)
    with pytest.raises(RunError, match="is no build folder"):
        report_command(tmp_path, str(tmp_path / "absent"), None, 10)
