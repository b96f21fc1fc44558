"""What a person reads while a build runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import toy_pipeline as toy
from rich.console import Console

from contextrl_data.pipeline.counters import StageProgress, clock
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.progress import LiveProgress, PlainProgress, progress_for
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Drop, Fail, Gather, Gathered, Keep, Rows


def printed(progress_class: type, tmp_path: Path, terminal: bool, largest: int = 1200) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=160)
    progress = progress_class(console)
    with progress:
        Runner(RunSettings(root=tmp_path, workers=1), progress).run(toy.steps(count=300, largest=largest))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_plain_lines_tell_every_stage_once_it_ends(tmp_path: Path) -> None:
    text = printed(PlainProgress, tmp_path, terminal=False)
    assert "numbers: 300 in, 297 kept, dropped 3 multiple of 100" in text
    assert "rows out), dropped" in text
    assert "$0." in text
    again = printed(PlainProgress, tmp_path, terminal=False)
    assert again.count("[already done]") == 4


def test_the_live_table_shows_rows_reasons_and_cost(tmp_path: Path) -> None:
    text = printed(LiveProgress, tmp_path, terminal=True, largest=100)
    for words in ("numbers", "multiple of 7", "too small", "cost"):
        assert words in text


def test_rate_and_time_left_count_only_this_session() -> None:
    shown = StageProgress("s", 100)
    shown.started -= 10
    for _ in range(50):
        shown.count(Drop("found"))
        shown.resumed += 1
    assert shown.eta() == ""
    for _ in range(10):
        shown.count(Keep([]))
    shown.count(Fail("docker", "x"))
    assert shown.rate() == pytest.approx(1.1, rel=0.1)
    assert shown.eta().startswith("0:3")
    assert shown.done == 61


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.6, 61, 3600, 7325)] == ["0:00", "1:00", "1:01", "1:00:00", "2:02:05"]


def test_a_terminal_gets_the_table_and_a_file_gets_lines() -> None:
    assert isinstance(progress_for(Console(file=io.StringIO(), force_terminal=True)), LiveProgress)
    assert isinstance(progress_for(Console(file=io.StringIO())), PlainProgress)


def test_a_step_of_a_whole_stage_shows_how_far_it_is_and_how_long_it_takes() -> None:
    out = io.StringIO()
    progress = PlainProgress(Console(file=out, width=160))
    shown = progress.begin("embed", 5000)
    assert out.getvalue() == "embed: 5,000 rows\n"
    shown.at("rows", 100, 5000)
    assert shown.step is not None
    shown.step.started -= 10
    shown.at("rows", 1100, 5000)
    assert shown.step.rate() == pytest.approx(100, rel=0.1)
    assert shown.step.eta() == "0:39"
    assert progress._line(shown).startswith("embed: 1,100/5,000 rows, ")
    assert progress._line(shown).endswith("/s, 0:39 left")
    shown.at("rows written", 10)
    assert (str(shown.step), shown.step.eta()) == ("10 rows written", "")
    assert "10 rows written" in LiveProgress._cells(shown)
    assert shown.step.pace() == "", "one moment has no pace"


def test_what_a_stage_tells_reaches_the_person_and_changes_nothing(tmp_path: Path) -> None:
    class Watching(PlainProgress):
        def refresh(self, force: bool = False) -> None:
            if self.stages and self.stages[-1].step is not None:
                heard.add(str(self.stages[-1].step))

    heard: set[str] = set()
    chain = [Step(toy.Numbers(toy.NumbersConfig(count=30))), Step(Telling(toy.SplitConfig()), after="numbers")]
    watched = Runner(RunSettings(root=tmp_path / "a"), Watching(Console(file=io.StringIO()))).run(chain)
    alone = Runner(RunSettings(root=tmp_path / "b")).run(chain)
    assert {"10/30 numbers", "20/30 numbers", "30/30 numbers", "29 rows written"} <= heard
    assert watched["telling"].manifest.digest == alone["telling"].manifest.digest


class Telling(Gather[toy.SplitConfig]):
    name = "telling"
    schema = toy.Numbers.schema

    def gather(self, rows: Rows) -> Gathered:
        for done in (10, 20, 30):
            self.tell("numbers", done, 30)
        return Gathered(rows)
