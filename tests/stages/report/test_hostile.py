"""Hostile text in every field of a report, in a real Chromium: no dialog, no request, no error, all of it shown as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit_records import audit_record
from report_pages import Watched, coding_pairs, image_pair_rows, shown

from contextrl_data.stages.report import Overview, write_report

PAYLOADS = [
    "</script><script>alert('owned')</script>",
    "<script>alert(1)</script><!--",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "'-alert(1)-'",
    "</title></style></textarea></pre><iframe srcdoc='<script>parent.owned=1</script>'>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href=http://127.0.0.1:9/>",
    "<a href='javascript:alert(1)'>javascript:alert(1)</a>",
    "url(http://127.0.0.1:9/x.png);background:red",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} `${alert(1)}`",
    "__proto__",
    "constructor",
    "line\u2028separator\u2029paragraph",
    "\u202eright to left",
    "\x1b[31mred\x1b[0m",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62;",
    "@@TITLE@@ @@SCRIPT_HASH@@ @@STYLE@@",
    "data:text/html,<script>alert(1)</script>",
    "<EDIT_MASKED><img src=x onerror=alert(1)>",
    "\ufeff\u0000x",
]
FIXED = {"correct_first", "correct_option", "split", "image_pos", "image_neg", "box"}
"""Columns that are no free text."""


def spoilt(value: Any, bad: str) -> Any:
    """The same value with every text in it replaced."""
    if isinstance(value, str):
        return bad
    if isinstance(value, list):
        return [spoilt(one, bad) for one in value]
    if isinstance(value, dict):
        return {name: spoilt(one, bad) for name, one in value.items()}
    return value


def everywhere(row: dict[str, Any], number: int, bad: str) -> dict[str, Any]:
    """A row with the text in each of its fields; ids stay distinct."""
    spoilt_row = {name: value if name in FIXED else spoilt(value, bad) for name, value in row.items()}
    return spoilt_row | {"id": f"{bad} {number}", "pair_id": f"{bad} {number // 2}", "split": bad}


def watched_for_dialogs(watched: Watched) -> list[str]:
    opened: list[str] = []

    def told(dialog: Any) -> None:
        opened.append(dialog.message)
        dialog.dismiss()

    watched.page.on("dialog", told)
    return opened


def overview() -> Overview:
    everything = " ".join(PAYLOADS)
    funnel = [
        {
            "stage": bad,
            "rows_in": 9,
            "kept": 4,
            "dropped": {bad: 5},
            "failed": {bad: 1},
            "rows_out": 4,
            "steps": [[bad, 9]],
            "message": bad,
        }
        for bad in PAYLOADS
    ]
    baselines = [{"name": bad, "accuracy": 0.9, "low": 0.8, "high": 0.95, "n": 40, "split": bad} for bad in PAYLOADS]
    settings, tiles = {bad: bad for bad in PAYLOADS}, [(bad, bad) for bad in PAYLOADS]
    return Overview(everything, funnel, baselines, settings, tiles, PAYLOADS, audit=audit_record(everything))


def nothing_ran(watched: Watched, dialogs: list[str]) -> None:
    page = watched.page
    assert dialogs == []
    assert page.evaluate("window.owned") is None
    assert page.evaluate("({}).polluted") is None
    assert page.url.startswith("file:")
    # One script and one style are the page's own; the rest are data that no browser runs.
    assert page.locator("script:not([type])").count() == 1
    assert page.locator("style").count() == 1
    assert page.locator("iframe, object, embed, base, link[rel=stylesheet], meta[http-equiv=refresh]").count() == 0
    assert page.locator("a[href^='javascript'], [onerror], [onload], [srcdoc], svg[onload]").count() == 0
    assert len(page.context.pages) == 1


def test_runs_with_hostile_text_in_every_field(tmp_path: Path, watched: Watched) -> None:
    dialogs = watched_for_dialogs(watched)
    rows = [everywhere(row, number, PAYLOADS[number // 2]) for number, row in enumerate(coding_pairs(len(PAYLOADS)))]
    write_report(tmp_path / "report.html", rows, overview())
    page = watched.open(tmp_path / "report.html")
    text = page.text_content("#overview") or ""
    for bad in PAYLOADS:
        assert bad.replace("\x00", "\ufffd") in text.replace("\x00", "\ufffd"), bad
    page.goto(f"file://{tmp_path}/report.html#pairs")
    for place, row in enumerate(rows):
        shown(page, f"{place + 1} of {len(rows)}")
        pane = page.text_content("#pair") or ""
        assert row["answer"].split("\u0000")[0] in pane
        if place % 8 == 0:
            for key in "bbnv":
                page.keyboard.press(key)
        page.keyboard.press("j")
    nothing_ran(watched, dialogs)


def test_pictures_with_hostile_text_in_every_field(tmp_path: Path, watched: Watched) -> None:
    dialogs = watched_for_dialogs(watched)
    rows = []
    for number, bad in enumerate(PAYLOADS):
        row = everywhere(image_pair_rows(number)[0], number, bad)
        row["facts_pos"] = json.dumps({bad: bad, "__proto__": {"polluted": bad}})
        row["facts_neg"] = json.dumps({bad: "", "constructor": {"prototype": {"polluted": 1}}})
        row["image_neg"] = {"bytes": f"<svg xmlns='http://www.w3.org/2000/svg' onload='{bad}'/>".encode(), "path": bad}
        rows.append(row)
    write_report(tmp_path / "report.html", rows, Overview("Pictures"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    for place in range(len(rows)):
        shown(page, f"{place + 1} of {len(rows)}")
        page.keyboard.press("d")
        page.keyboard.press("j")
    nothing_ran(watched, dialogs)


def test_hostile_text_can_be_searched_filtered_and_addressed(tmp_path: Path, watched: Watched) -> None:
    dialogs = watched_for_dialogs(watched)
    rows = [everywhere(row, number, PAYLOADS[number // 2]) for number, row in enumerate(coding_pairs(len(PAYLOADS)))]
    write_report(tmp_path / "report.html", rows, Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    for bad in PAYLOADS[:6]:
        page.get_by_label("Search").fill(bad)
        page.get_by_label("Filter by kind").select_option(bad)
        assert page.inner_text("#found") == "2 of 48 pairs"
        page.get_by_role("button", name="Clear").click()
    for bad in ("#pair=<img src=x onerror=alert(1)>", "#pair=javascript:alert(1)", "#<script>alert(1)</script>"):
        watched.open(tmp_path / "report.html", bad)
    nothing_ran(watched, dialogs)


def test_the_file_holds_no_text_that_could_end_a_script(tmp_path: Path) -> None:
    """Looked at without a browser: between the page's own tags nothing of the data is readable as markup."""
    rows = [everywhere(row, number, PAYLOADS[number // 2]) for number, row in enumerate(coding_pairs(len(PAYLOADS)))]
    write_report(tmp_path / "hostile.html", rows, overview())
    write_report(tmp_path / "plain.html", coding_pairs(len(PAYLOADS)), Overview("Pairs"))
    hostile, plain = ((tmp_path / name).read_text().lower() for name in ("hostile.html", "plain.html"))
    for tag in ("<script", "</script", "<style", "<img", "<svg", "<iframe", "<!--"):
        assert hostile.count(tag) <= plain.count(tag) + (2 if "script" in tag else 0), tag
