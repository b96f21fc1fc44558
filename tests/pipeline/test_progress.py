"""What a person reads while a build runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import toy_pipeline as toy
from rich.console import Console

from contextrl_data.pipeline.plan import RunSettings
from contextrl_data.pipeline.progress import LiveProgress, PlainProgress, StageProgress, clock, progress_for
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Drop, Fail, Keep


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
