"""The audit end to end: every planted fault is named, clean sets pass, and the same data gives the same record."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_sets import IMAGE_PLANTS, TEXT_PLANTS, Rows, image_rows, text_rows, write_lists, write_set

from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.result import AuditResult, Guess
from contextrl_data.stages.audit.run import audit_dataset


def audit(folder: Path, rows: Rows, **settings: object) -> AuditResult:
    return audit_dataset(str(write_set(folder / "pairs", rows)), AuditConfig.model_validate({"workers": 1, **settings}))


def guess(result: AuditResult, name: str) -> Guess:
    return next(one for one in result.guesses if one.name == name)


@pytest.mark.parametrize("plant", TEXT_PLANTS)
def test_a_planted_fault_in_texts_is_named(plant: str, tmp_path: Path) -> None:
    rows = text_rows(7, 300, plant=plant)
    lists = write_lists(tmp_path / "lists", rows)
    assert TEXT_PLANTS[plant] in audit(tmp_path, rows, contamination=lists).reasons


@pytest.mark.parametrize("plant", IMAGE_PLANTS)
def test_a_planted_fault_in_images_is_named(plant: str, tmp_path: Path) -> None:
    rows = image_rows(7, 300 if plant == "embeddings" else 140, plant=plant)
    lists = write_lists(tmp_path / "lists", rows) if plant == "benchmark image" else {}
    folds = 5 if IMAGE_PLANTS[plant] in ("image_traces", "embeddings") else 2  # what learns is not asked of the others
    assert IMAGE_PLANTS[plant] in audit(tmp_path, rows, contamination=lists, folds=folds).reasons


@pytest.mark.parametrize("both", [False, True], ids=["one direction", "both directions"])
def test_clean_sets_pass(both: bool, tmp_path: Path) -> None:
    texts = text_rows(11, 200, both=both)
    lists = write_lists(tmp_path / "lists", texts)
    found = audit(tmp_path / "texts", texts, contamination=lists)
    assert found.passed, found.reasons
    assert {one.verdict for one in found.guesses} == {"chance"}
    pictures = image_rows(11, 80, both=both)
    found = audit(tmp_path / "images", pictures)
    assert found.passed, found.reasons
    assert found.kind == "image"


def test_both_directions_hide_what_contexts_tell(tmp_path: Path) -> None:
    """A word on one run's side alone: with both directions each context is C+ once."""
    assert "context_words" in audit(tmp_path / "one", text_rows(3, 240, plant="context_words")).reasons
    rows = text_rows(3, 240, both=True)
    for row in rows:
        row["context_pos" if row["id"].endswith("-0") else "context_neg"][1]["content"] += " finally"
    found = audit(tmp_path / "two", rows)
    assert guess(found, "context_words").accuracy == pytest.approx(0.5)


def test_a_cue_that_a_whole_group_shares_by_chance_is_not_reported(tmp_path: Path) -> None:
    """Ten groups, in each all C+ are longer or all are shorter: naive counting would call it far from chance."""
    rows = text_rows(5, 200)
    for number, row in enumerate(rows):
        row["group"] = f"group {number // 20}"
        side = "context_pos" if number // 20 in (0, 1, 2, 3, 5, 7, 8) else "context_neg"
        row[side][1]["content"] += " padding" * 400
    longer = guess(audit(tmp_path, rows), "longer")
    assert longer.accuracy == 0.7
    assert longer.verdict == "chance"
    assert longer.low < 0.5 < longer.high
    assert longer.effective_n < 20


def test_one_group_cannot_be_cross_validated(tmp_path: Path) -> None:
    rows = [{**row, "group": "the only one"} for row in text_rows(2, 60)]
    found = audit(tmp_path, rows)
    assert "one group" in found.notes[0]
    words = guess(found, "context_words")
    assert words.verdict == "not measured"
    assert "cross-validation is impossible" in words.note
    assert guess(found, "longer").verdict == "chance"


def test_a_single_pair_is_no_crash(tmp_path: Path) -> None:
    found = audit(tmp_path, text_rows(2, 1))
    assert found.rows == 1
    assert [one.check for one in found.findings] == ["few clusters"]
    assert found.passed, "too little to say anything is no fault, but it is said"
    assert guess(found, "answer_only").verdict == "not measured"


def test_groups_are_found_where_none_are_named(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row.items() if key not in ("group", "pair_id")} for row in text_rows(2, 40)]
    for row in rows[1:10]:
        row["context_neg"] = rows[0]["context_neg"]
    found = audit(tmp_path, rows)
    assert found.clusters == 31, "ten rows hang together by their C-"


def test_an_ignored_check_is_shown_and_does_not_count(tmp_path: Path) -> None:
    found = audit(tmp_path, text_rows(2, 60, plant="licence"), ignore=["licences missing"])
    assert [one.check for one in found.findings] == ["licences missing"]
    assert found.passed


def test_damaged_rows_and_images_are_counted(tmp_path: Path) -> None:
    rows = image_rows(4, 40)
    rows[0]["image_pos"] = {"bytes": b"no image", "path": None}
    rows[1]["answer"] = ""
    found = audit(tmp_path, rows)
    assert {"unreadable images", "broken rows"} <= set(found.reasons)
    assert found.rows == 39


def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contextrl_data.stages.audit.run.SERIAL", 1)  # else so few rows start no process
    rows = text_rows(6, 160)
    one, two = (audit(tmp_path, rows, workers=count).record() for count in (1, 2))
    assert one == two
