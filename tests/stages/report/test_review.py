"""From the page to the next build: a person's verdicts are kept, saved, read again, and picked up by the review stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chat_server import ChatServer, asked_text
from judged_pairs import pairs, vote
from openai_server import Answer
from playwright.sync_api import Page
from report_pages import Watched, coding_pairs, shown

from contextrl_data.pipeline.build import start_build
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.stages.chat import ChatConfig
from contextrl_data.stages.chat_judge import ChatJudge, ChatJudgeConfig
from contextrl_data.stages.report import Overview, report_command, write_report
from contextrl_data.stages.review import Review, ReviewConfig


def doubtful(asked: dict[str, Any]) -> Answer:
    return vote(asked, "UNCERTAIN", "leakage") if "doubt" in asked_text(asked) else vote(asked)


def build(server: ChatServer, root: Path, **config: Any) -> tuple[Path, Finished]:
    """A build of five pairs, three of which the judge is not sure of; its folder and its review stage."""
    chat = ChatConfig(model="openai/judge", api_base=server.url, cache_dir=root / "cache")
    steps = [
        Step(pairs(["", "doubt", "doubt", "", "doubt"])),
        Step(ChatJudge(ChatJudgeConfig(chat=chat)), after="pairs"),
        Step(Review(ReviewConfig(**config)), after="judge"),
    ]
    settings = RunSettings(root=root / "runs", workers=2)
    folder = start_build("coding", settings, settings, steps)
    return folder.path, Runner(settings).run(steps)["review"]


def saved(page: Page, path: Path) -> list[dict[str, Any]]:
    """What the page saves, as read from the file that it gave the browser."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save review.jsonl").click()
    assert waiting.value.suggested_filename == "review.jsonl"
    waiting.value.save_as(path)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_verdicts_given_in_the_page_are_picked_up_by_the_next_build(tmp_path: Path, watched: Watched) -> None:
    with ChatServer(doubtful) as server:
        folder, first = build(server, tmp_path)
        assert first.manifest.dropped == {"waits for review": 3}
        page = watched.open(report_command(tmp_path / "runs", str(folder), None), "#pairs")
        assert page.inner_text("#found") == "3 of 3 pairs"
        assert page.inner_text("#progress") == "3 to review"
        assert page.get_by_role("button", name="Save review.jsonl").is_disabled()
        shown(page, "The judge was not sure: leakage. What do you say?")
        shown(page, "evidence_first1")
        page.keyboard.press("v")
        page.keyboard.press("j")
        shown(page, "2 of 3")
        page.keyboard.press("i")
        page.get_by_label("Note on this pair").fill('names "it" </script>')
        page.keyboard.press("Escape")
        entries = saved(page, tmp_path / "review.jsonl")
        assert entries == [
            {"id": "pair-1", "verdict": "VALID", "note": ""},
            {"id": "pair-2", "verdict": "INVALID", "note": 'names "it" </script>'},
        ]
        folder, second = build(server, tmp_path, verdicts=[tmp_path / "review.jsonl"])
        assert second.manifest.dropped == {"refused in review": 1, "waits for review": 1}
        assert [(row["id"], row["judge"]) for row in second.rows][1] == ("pair-1", "person")
        page = watched.open(report_command(tmp_path / "runs", str(folder), None), "#pairs")
        assert page.inner_text("#found") == "1 of 1 pair"
        shown(page, "evidence_first4")


def test_the_browser_keeps_verdicts_of_this_set_only(tmp_path: Path, watched: Watched) -> None:
    for name, rows in (("one", coding_pairs(10)), ("two", coding_pairs(11))):
        write_report(tmp_path / f"{name}.html", rows, Overview(name))
    page = watched.open(tmp_path / "one.html", "#pairs")
    shown(page, "1 of 20")
    page.keyboard.press("i")
    assert page.locator("#list .item").nth(1).get_by_role("img", name="you: invalid").is_visible()
    page.reload()
    shown(page, "1 of 20")
    assert page.get_by_role("button", name="Invalid i").get_attribute("aria-pressed") == "true"
    assert page.inner_text("#progress") == "1 verdict"
    page.keyboard.press("u")
    assert page.get_by_role("button", name="Save review.jsonl").is_disabled()
    page.keyboard.press("v")
    page = watched.open(tmp_path / "two.html", "#pairs")
    shown(page, "1 of 22")
    assert page.get_by_role("button", name="Undecided u").get_attribute("aria-pressed") == "true"


def test_what_is_reviewed_leaves_the_list_of_what_is_not(tmp_path: Path, watched: Watched) -> None:
    write_report(tmp_path / "report.html", coding_pairs(20), Overview("Pairs"))
    page = watched.open(tmp_path / "report.html", "#pairs")
    page.get_by_label("Filter by review").select_option("to review")
    assert page.inner_text("#found") == "6 of 40 pairs"
    page.get_by_label("Filter by review").blur()
    for left, pair in ((4, "function_9"), (2, "function_18")):
        page.keyboard.press("v")
        shown(page, pair)
        assert page.inner_text("#found") == f"{left} of 40 pairs"
    page.get_by_label("Filter by review").select_option("reviewed")
    assert page.inner_text("#found") == "4 of 40 pairs"


def test_a_review_file_can_be_loaded_and_a_wrong_one_is_named(tmp_path: Path, watched: Watched) -> None:
    write_report(tmp_path / "report.html", coding_pairs(10), Overview("Pairs"))
    (tmp_path / "mine.jsonl").write_text('{"id": "pair-00009", "verdict": " valid", "doubt": "x"}\n\n')
    (tmp_path / "wrong.jsonl").write_text('{"id": 3, "verdict": "VALID"}\n')
    page = watched.open(tmp_path / "report.html", "#pairs")
    page.set_input_files("#load-file", tmp_path / "mine.jsonl")
    page.get_by_text("1 verdict read from mine.jsonl.").wait_for()
    assert saved(page, tmp_path / "out.jsonl") == [{"id": "pair-00009", "verdict": "VALID", "note": ""}]
    page.set_input_files("#load-file", tmp_path / "wrong.jsonl")
    page.get_by_text("wrong.jsonl is no review file: a line has no id").wait_for()
