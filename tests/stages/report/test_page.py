"""The report in real Chromium: it opens, walks, filters, loads nothing, and shows hostile text as text."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from audit_records import audit_record
from axe_playwright_python.sync_playwright import Axe
from factories import pair_rows
from playwright.sync_api import Browser
from report_pages import Watched, coding_pairs, image_pair_rows, shown

from contextrl_data.stages.report import Overview, write_report

HOSTILE = [
    "</script><script>window.owned = 1</script>",
    "<!--<script>",
    "]]></style><img src=x onerror='window.owned = 1'>",
    "<b>bold</b> & \u2028 \u2029 \U0001f600",
    "javascript:window.owned=1",
]


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
    baselines = [
        {"name": "longer", "accuracy": 0.5, "low": 0.35, "high": 0.65, "n": 40},
        {"name": "identifiers", "accuracy": 0.9, "low": 0.77, "high": 0.96, "n": 40},
    ]
    overview = Overview("Pairs", funnel, baselines, {"select": {"seed": 7}}, [("pairs", 40)], ["Mind the gap."])
    assert write_report(tmp_path / "report.html", coding_pairs(), overview) == 40
    page = watched.open(tmp_path / "report.html")
    text = page.inner_text("#overview")
    for part in ("49 dropped: target reached", "1 failed at docker", "pairs 90 → selected 40", "Mind the gap."):
        assert part in text
    assert page.get_by_role("row", name="longer").get_by_text("at chance", exact=True).is_visible()
    assert page.get_by_role("row", name="identifiers").get_by_text("not at chance").is_visible()
    page.get_by_text("Everything that was set").click()
    assert "seed: 7" in page.inner_text("#overview")
    told = page.locator("#overview .audited").inner_text()
    assert told.startswith("not audited")
    assert "contextrl-data audit DATASET --write-card" in told


def test_the_audit_is_the_first_thing_told_and_stands_there_whole(tmp_path: Path, watched: Watched) -> None:
    baselines = [{"name": "longer", "accuracy": 0.9, "low": 0.8, "high": 0.95, "n": 40}]
    path = tmp_path / "report.html"
    write_report(path, coding_pairs(2), Overview("Pairs", baselines=baselines, audit=audit_record()))
    page = watched.open(path)
    told = page.locator("#overview .audited").inner_text()
    assert told == ("audit failed longer, duplicate rows; 1 of 2 blind guessers at chance; 4 clusters: too few")
    table = page.get_by_role("table", name="Blind guessers", exact=True)
    cells = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert [row[0] for row in cells] == ["longer", "first", "context_words"]
    what = "takes the longer context"
    assert cells[0] == ["longer", "0.900", "0.800 to 0.950", "", "40", "< 0.001", "above chance", what]
    assert cells[2][6:] == [
        "not measured",
        "reads the contexts' words, without the answer; fewer than 20 pairs to learn from",
    ]
    found = page.locator("#overview .findings li").all_inner_texts()
    assert found[0] == "fail duplicate rows: 7: stands twice (a = b; a = b; a = b; a = b; a = b and 2 more)"
    assert found[1].startswith("info near-duplicate texts")
    assert "C+ is shown first, share of rows: train 0.500" in page.inner_text("#overview")
    page.get_by_text("The same in each split").first.click()
    assert page.get_by_role("table", name="Blind guessers in probe").is_visible()
    page.get_by_text("What selection balances").click()
    assert page.get_by_role("table", name="Blind baselines").is_visible()
    clean = audit_record(passed=True, reasons=[], findings=[])
    write_report(path, [], Overview("Pairs", audit=clean))
    page = watched.open(path)
    assert page.locator("#overview .audited").inner_text() == "audit passed 1 of 2 blind guessers at chance"
    assert "No duplicates, nothing of the given benchmark lists" in page.inner_text("#overview")


def test_pairs_are_told_by_domain_and_method(tmp_path: Path, watched: Watched) -> None:
    parts = [
        {"domain": "chart", "method": "mined", "sound": 1200, "selected": 80},
        {"domain": "chart", "method": "rerendered", "sound": 30, "selected": 20},
        {"domain": "science", "method": "rerendered", "sound": 7, "selected": 0},
    ]
    write_report(tmp_path / "report.html", coding_pairs(2), Overview("Pairs", parts=parts))
    page = watched.open(tmp_path / "report.html")
    table = page.get_by_role("region", name="By domain and method")
    lines = [line.split("\t") for line in table.locator("table").first.inner_text().split("\n")]
    assert ["chart", "80 of 1,200", "20 of 30", "100 of 1,230"] in lines
    assert ["science", "", "0 of 7", "0 of 7"] in lines
    assert ["all", "80 of 1,200", "20 of 37", "100 of 1,237"] in lines


def test_the_keyboard_walks_the_pairs(tmp_path: Path, watched: Watched) -> None:
    rows = coding_pairs()
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
    rows = coding_pairs()
    write_report(tmp_path / "report.html", rows, Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    for label, column, value in (
        ("Filter by kind", "kind", "outcome"),
        ("Filter by split", "split", "probe"),
        ("Filter by verdict", "verdict", "UNCERTAIN"),
        ("Filter by repository", "repo", rows[0]["repo"]),
    ):
        page.get_by_label(label).select_option(value)
        wanted = sum(row[column] == value for row in rows)
        assert page.inner_text("#found") == f"{wanted} of 40 pairs"
        page.get_by_label(label).select_option("*")
    page.keyboard.press("/")
    page.wait_for_selector("#search:focus")
    page.keyboard.type("function_3")
    assert page.inner_text("#found") == "2 of 40 pairs"
    page.keyboard.type(" nowhere")
    shown(page, "No pair matches the filters.")


def test_the_sides_are_labelled_aligned_and_can_be_hidden(tmp_path: Path, watched: Watched) -> None:
    (row,) = rows = coding_pairs()[2:3]
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
    page.get_by_text("C+ supports the answer").wait_for(state="detached")
    hidden = page.inner_text("#pair")
    for telling in ("Evidence", row["trajectory_pos"], row["instance_neg"], "resolved"):
        assert telling not in hidden


def test_hostile_text_is_text(tmp_path: Path, watched: Watched) -> None:
    rows = coding_pairs(len(HOSTILE))
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


def test_hostile_pictures_answers_and_facts_are_text(tmp_path: Path, watched: Watched) -> None:
    rows = [row for number in range(len(HOSTILE)) for row in image_pair_rows(number)]
    for place, row in enumerate(rows):
        bad = HOSTILE[place // 2]
        row |= dict.fromkeys(("question", "answer", "answer_neg", "method", "domain", "renderer", "licence"), bad)
        row |= {"choices": [bad], "facts_pos": json.dumps({bad: bad, "__proto__": {"x": bad}}), "facts_neg": "not json"}
        row |= {"facts_neg": json.dumps({bad: "", "constructor": 1})} if place % 2 else {}
        row["scores"], row["box"] = (
            [{"name": bad, "value": float("nan")}],
            (None, [5, 5, 2, 2], [-9, 0, 9999, 1], [1])[place % 4],
        )
        row["image_neg"] = {"bytes": bad.encode(), "path": bad}
    write_report(tmp_path / "report.html", rows, Overview("Pictures"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    for place, row in enumerate(rows):
        shown(page, f"{place + 1} of {len(rows)}")
        assert row["answer"] in (page.text_content("#pair") or "")
        page.keyboard.press("d")
        page.keyboard.press("j")
    assert page.evaluate("window.owned") is None
    assert page.locator("#pair script, #pair img[onerror]").count() == 0


def test_the_policy_stops_other_scripts_and_every_request(tmp_path: Path, browser: Browser) -> None:
    write_report(tmp_path / "report.html", coding_pairs(2), Overview("Pairs"))
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"file://{tmp_path}/report.html")
    page.wait_for_selector("html[data-ready]")
    for tag, source in (("script", "x.js"), ("img", "x.png"), ("iframe", "x.html"), ("link", "x.css")):
        page.evaluate(
            """([tag, source]) => new Promise((done) => {
                const node = document.createElement(tag);
                node.rel = "stylesheet";
                node.onerror = done;
                node.onload = done;
                node[tag === "link" ? "href" : "src"] = "http://127.0.0.1:9/" + source;
                document.body.append(node);
            })""",
            [tag, source],
        )
    page.evaluate(
        "() => { const node = document.createElement('script'); node.text = 'window.owned = 1'; document.body.append(node); }"
    )
    assert page.evaluate("fetch('http://127.0.0.1:9/x').then(() => 'sent', () => 'refused')") == "refused"
    assert page.evaluate("window.owned") is None
    assert sum("Content Security Policy" in line for line in refused) >= 6, refused
    page.close()


def test_many_pairs_are_unpacked_only_when_opened(tmp_path: Path, watched: Watched) -> None:
    rows = (row for n in range(400) for row in pair_rows(n))
    filled = ({**row, "context_pos": row["context_pos"] * 3} for row in rows)
    assert write_report(tmp_path / "report.html", filled, Overview("Pairs", total=5000)) == 800
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 800")
    assert page.inner_text("#found") == "800 of 800 pairs (of 5,000 in the dataset)"
    assert page.evaluate("chunks.size") == 1
    assert page.locator(".item").count() < 50
    page.evaluate("go(799)")
    shown(page, "800 of 800")
    assert page.evaluate("chunks.size") == 2


def test_a_page_stops_growing_at_its_bound_and_says_so(tmp_path: Path, watched: Watched) -> None:
    rows = (
        {**row, "context_pos": [{"role": "user", "content": random_text(number)}]}
        for number in range(40)
        for row in pair_rows(number)
    )
    count = write_report(tmp_path / "report.html", rows, Overview("Pairs", total=80), max_bytes=1_000_000)
    assert 0 < count < 80
    assert 1_000_000 < (tmp_path / "report.html").stat().st_size < 2_000_000
    page = watched.open(tmp_path / "report.html", "#pairs")
    assert page.inner_text("#found") == f"{count} of {count} pairs (of 80 in the dataset)"


def random_text(seed: int) -> str:
    return random.Random(seed).randbytes(60_000).hex()


def test_the_same_pairs_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(tmp_path / name, [*coding_pairs(5), *image_pair_rows(3)], Overview("Pairs", config={"a": 1}))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_trajectory_that_two_pairs_share_is_stored_once(tmp_path: Path, watched: Watched) -> None:
    (pair, _), (other, _) = pair_rows(0), pair_rows(1)
    shared = [{"role": "user", "content": random_text(1)}]
    rows = [{**pair, "context_pos": shared}]
    write_report(tmp_path / "alone.html", rows, Overview("Pairs"))
    # 700,000 characters lie between the two: the second finds the context in another chunk
    far = {**pair, "id": "far", "context_neg": [{"role": "user", "content": random_text(n)} for n in range(2, 8)]}
    rows += [far, {**other, "context_neg": shared}]
    write_report(tmp_path / "report.html", rows, Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pair=pair-00001-forward")
    shown(page, "3 of 3")
    places = "(async () => (await pairOf(index[2])))().then((pair) => [pair.a, pair.b].map((side) => side.context[0]))"
    assert sorted(page.evaluate(places)) == [0, 1]
    shown(page, random_text(1)[:500])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(tmp_path: Path, browser: Browser, scheme: str) -> None:
    rows = [*coding_pairs(3), *image_pair_rows(5)]
    baselines = [{"name": "longer", "accuracy": 0.9, "low": 0.8, "high": 0.95, "n": 40}]
    funnel = [{"stage": "select", "rows_in": 9, "kept": 4, "dropped": {"far": 5}, "failed": {"docker": 1}}]
    lines = [{**line, "rows_out": 4, "steps": [], "message": "done"} for line in funnel]
    overview = Overview("Pairs", lines, baselines, {"a": 1}, [("pairs", 8)], ["Mind."], audit=audit_record())
    write_report(tmp_path / "report.html", rows, overview)
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    for view in ("", f"#pair={rows[0]['id']}", f"#pair={rows[-1]['id']}"):
        page.goto("about:blank")
        page.goto(f"file://{tmp_path}/report.html{view}")
        page.wait_for_selector("html[data-ready]")
        for folded in page.locator("details:visible").all():
            folded.evaluate("node => { node.open = true; }")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_the_colours_follow_the_system_until_they_are_chosen(tmp_path: Path, browser: Browser) -> None:
    write_report(tmp_path / "report.html", coding_pairs(2), Overview("Pairs"))
    colour = "getComputedStyle(document.body).backgroundColor"
    page = browser.new_page(color_scheme="dark")
    page.goto(f"file://{tmp_path}/report.html")
    page.wait_for_selector("html[data-ready]")
    dark = page.evaluate(colour)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(colour)
    assert light != dark
    page.keyboard.press("t")
    page.get_by_role("button", name="Colours: light. Change").click()
    assert page.evaluate(colour) == dark
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.get_by_role("button", name="Colours: dark. Change").is_visible()
    assert page.evaluate(colour) == dark
    page.close()


def test_the_tab_key_goes_from_the_top_to_the_pair(tmp_path: Path, watched: Watched) -> None:
    write_report(tmp_path / "report.html", coding_pairs(), Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 40")
    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    start = order.index("tab-overview")  # a #view in the address makes the Tab key start inside that view
    order = order[start:] + order[:start]
    first = ["tab-overview", "tab-pairs", "theme", "keys", "search", "filter-kind"]
    places = [order.index(name) for name in [*first, "list", "load", "pair"]]
    assert places == sorted(places)
    assert "Hide the answer" in order[order.index("pair") :]
    page.focus("#list")
    page.keyboard.press("ArrowDown")
    shown(page, "2 of 40")
    page.keyboard.press("End")
    shown(page, "40 of 40")
    assert page.get_attribute("#list", "aria-activedescendant") == "item-39"
    assert page.locator("#list [role=option][aria-selected=true]").get_attribute("aria-posinset") == "40"


def test_help_lists_the_keys_and_takes_them_over(tmp_path: Path, watched: Watched) -> None:
    write_report(tmp_path / "report.html", coding_pairs(), Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "1 of 40")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")
    shown(page, "1 of 40")


def test_a_file_that_was_cut_short_says_so(tmp_path: Path, watched: Watched) -> None:
    write_report(tmp_path / "whole.html", coding_pairs(), Overview("Pairs"))
    whole = (tmp_path / "whole.html").read_text()
    (tmp_path / "cut.html").write_text(whole[: whole.index('<script type="text/plain" id="chunk-0"')])
    page = watched.open(tmp_path / "cut.html", "#pairs")
    shown(page, "This pair cannot be shown: chunk-0 is missing: the file is cut short")


def test_an_empty_report_opens(tmp_path: Path, watched: Watched) -> None:
    assert write_report(tmp_path / "report.html", [], Overview("Nothing yet")) == 0
    page = watched.open(tmp_path / "report.html", "#pairs")
    shown(page, "There are no pairs yet.")
    for key in "jkvnbdf":
        page.keyboard.press(key)


def test_any_address_opens_the_page(tmp_path: Path, watched: Watched) -> None:
    write_report(tmp_path / "report.html", coding_pairs(2), Overview("Pairs"))
    for view in ("#%", "#pair=%E0%A4%A", "#nowhere"):
        assert watched.open(tmp_path / "report.html", view).locator("#overview").is_visible()
    shown(watched.open(tmp_path / "report.html", "#pair=none"), "1 of 4")
