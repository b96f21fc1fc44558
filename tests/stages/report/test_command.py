"""`contextrl-data report`: a dataset folder or a build becomes a page, with the pairs that wait for a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_pages import Watched, coding_pairs, shown
from typer.testing import CliRunner

from contextrl_data.pipeline.cli import app
from contextrl_data.pipeline.errors import InputError, RunError
from contextrl_data.stages.card import write_card
from contextrl_data.stages.export import write_dataset
from contextrl_data.stages.report import report_command
from contextrl_data.stages.rows import PAIR


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "mine", coding_pairs(), PAIR)
    write_card(tmp_path / "mine", config={"select": {"seed": 3}})
    return tmp_path / "mine"


def test_a_dataset_folder_is_shown_whole(dataset: Path, watched: Watched) -> None:
    path = report_command(dataset.parent, str(dataset), None)
    assert path == dataset.with_name("mine-report.html")
    page = watched.open(path, "#pairs")
    assert page.inner_text("#found") == "40 of 40 pairs"
    assert page.get_by_label("Filter by split").locator("option").all_inner_texts() == [
        "Any split",
        "probe (8)",
        "train (24)",
        "validation (8)",
    ]
    shown(watched.open(path, "#pair=pair-00019-reverse"), "function_19")
    page.keyboard.press("o")
    assert "in each split" in page.inner_text("#overview")


def test_fewer_pairs_show_something_of_each_split_and_the_reason(dataset: Path, watched: Watched) -> None:
    said: list[str] = []
    out = dataset.parent / "deep" / "page.html"
    assert report_command(dataset.parent, str(dataset), out, 10, say=said.append) == out
    assert said == ["the page shows 10 of 40 pairs: --pairs stopped it"]
    page = watched.open(out, "#pairs")
    assert page.inner_text("#found") == "10 of 10 pairs (of 40 in the dataset)"
    assert page.get_by_label("Filter by split").locator("option").count() == 4


def test_the_command_line_says_where_the_page_is_and_what_stopped_it(dataset: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(dataset), "--pairs", "4"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "the page shows 4 of 40 pairs: --pairs stopped it",
        f"report: {dataset.with_name('mine-report.html')}",
    ]


def test_nothing_to_report_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no build below"):
        report_command(tmp_path, None, None, 10)
    with pytest.raises(RunError, match="is no build folder"):
        report_command(tmp_path, str(tmp_path / "absent"), None, 10)


def test_a_damaged_dataset_is_one_line(dataset: Path) -> None:
    next(dataset.glob("data/*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"cannot read .*parquet"):
        report_command(dataset.parent, str(dataset), None)
