"""`contextrl-data report`: a dataset folder or a build becomes a page, with the pairs that wait for a person."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy_pipeline as toy
from report_pages import Watched, coding_pairs, image_pair_rows, shown
from typer.testing import CliRunner

from contextrl_data.pipeline.build import start_build
from contextrl_data.pipeline.calls import CallLedger
from contextrl_data.pipeline.cli import app
from contextrl_data.pipeline.errors import InputError, MissingExtra, RunError
from contextrl_data.pipeline.plan import RunSettings, keys_of
from contextrl_data.stages.card import write_card
from contextrl_data.stages.export import write_dataset
from contextrl_data.stages.images.rows import IMAGE_PAIR
from contextrl_data.stages.report import Overview, report_command, write_report
from contextrl_data.stages.report.rows import dataset_rows
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


def test_the_page_of_a_build_says_what_its_models_cost(tmp_path: Path, watched: Watched) -> None:
    settings, chain = RunSettings(root=tmp_path / "runs"), toy.steps(count=5)
    build = start_build("toy", settings, settings, chain)
    write_dataset(build.path / "dataset", coding_pairs(), PAIR)
    write_card(build.path / "dataset")

    def tiles() -> dict[str, str]:
        page = watched.open(report_command(settings.root, None, None), "#overview")
        names, values = (page.locator(f"dl.tiles {tag}").all_inner_texts() for tag in ("dt", "dd"))
        return dict(zip(names, values, strict=True))

    assert "US dollars" not in tiles()
    ledger = CallLedger(settings.root / f"dear-{keys_of(chain)['dear']}", "dear")
    for dollars in (1.25, 0.5):
        with ledger.call("m") as call:
            call.dollars = dollars
    assert (tiles()["calls of models"], tiles()["US dollars"]) == ("2", "1.75")
    with ledger.call("unpriced"):
        pass
    assert tiles()["US dollars"] == "1.75 or more"


def test_nothing_to_report_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no build below"):
        report_command(tmp_path, None, None, 10)
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text('{"question": "q"}\n')
    exported = (
        r"is no build folder — give a build's folder, or a dataset folder .*exported \(it has provenance\.json\)$"
    )
    for named in (tmp_path / "absent", foreign, tmp_path):
        with pytest.raises(RunError, match=exported):
            report_command(tmp_path, str(named), None, 10)


def test_a_damaged_dataset_is_one_line(dataset: Path) -> None:
    next(dataset.glob("data/*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"cannot read .*parquet"):
        report_command(dataset.parent, str(dataset), None)


def test_a_dataset_of_pictures_is_shown_from_its_folder(tmp_path: Path, watched: Watched) -> None:
    rows = [{**row, "split": "train"} for number in range(6) for row in image_pair_rows(number)]
    folder = tmp_path / "charts"
    (folder / "data").mkdir(parents=True)
    name = "data/train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=IMAGE_PAIR), folder / name)
    counted = {column: dict(Counter(row[column] for row in rows)) for column in ("judge", "verdict", "licence")}
    record = {
        "title": "Charts",
        "rows": 12,
        "splits": {"train": {"rows": 12, "nbytes": 1, "baselines": []}},
        "files": [{"id": name, "split": "train"}],
        "counts": {**counted, "model": {}, "domain": {"chart": 12}},
        "distinct": {"pairs": 6, "groups": 6},
        "checks": [],
        "sources": [],
        "baselines": [],
        "funnel": [],
        "config": {},
    }
    (folder / "provenance.json").write_text(json.dumps(record))
    page = watched.open(report_command(tmp_path, str(folder), None), "#pairs")
    assert page.inner_text("#found") == "12 of 12 pairs"
    shown(page, "C+ supports the answer")
    assert page.locator(".frame img").count() == 2


def test_pictures_without_pillow_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = image_pair_rows(1)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"a report with pictures needs .*\[images\]"):
        write_report(tmp_path / "report.html", rows, Overview("Charts"))
    assert list(tmp_path.iterdir()) == []


def test_fewer_pairs_come_from_all_over_a_split_with_both_directions(dataset: Path) -> None:
    whole = [row["id"] for row in dataset_rows(dataset)]
    assert [row["id"] for row in dataset_rows(dataset, len(whole))] == whole
    split_of = {row["id"]: row["split"] for row in dataset_rows(dataset)}
    train = [row_id for row_id in whole if split_of[row_id] == "train"]
    for most in (0, 2, 6, 12, 30):
        some = [row["id"] for row in dataset_rows(dataset, most)]
        assert len(some) == most
        assert [one.rpartition("-")[0] for one in some[::2]] == [one.rpartition("-")[0] for one in some[1::2]]
        shown_train = [train.index(row_id) for row_id in some if split_of[row_id] == "train"]
        if len(shown_train) > 2:
            assert max(shown_train) >= len(train) - 4
