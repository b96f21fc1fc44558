"""The report of image pairs: nothing of the data becomes markup, and every kind of pair is shown."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PIL")

from bad_pictures import encoded, picture

from contextrl_data.stages.report.page import Overview
from contextrl_data.stages.report.pictures import write_picture_report


def row(**changes: Any) -> dict[str, Any]:
    data = {"bytes": encoded(picture(random.Random(1))), "path": None}
    plain = {"id": "p-forward", "domain": "chart", "method": "mined", "renderer": "", "split": "train", "source": "s"}
    found = {
        "question": "How many?",
        "answer": "2",
        "answer_neg": "3",
        "choices": [],
        "image_pos": data,
        "image_neg": data,
    }
    measured = {"box": [4, 5, 20, 15], "similarity": 0.9, "scores": [{"name": "area", "value": 0.25}], "licence": "MIT"}
    return {
        **plain,
        **found,
        **measured,
        "verdict": "VALID",
        "checks": [{"name": "c", "passed": None, "detail": ""}],
        **changes,
    }


def page(folder: Path, *rows: dict[str, Any], **overview: Any) -> str:
    assert write_picture_report(folder / "r.html", iter(rows), Overview(title="<T>", **overview)) == len(rows)
    return (folder / "r.html").read_text()


def test_a_pair_is_shown_with_its_region_and_scores(tmp_path: Path) -> None:
    text = page(tmp_path, row())
    assert 'viewBox="0 0 40 36"' in text
    assert '<rect x="2" y="3" width="20" height="14"' in text
    assert "similarity 0.900; area 0.25; c: not checked" in text
    assert "C+: 2" in text
    assert "C-: 3" in text
    assert "<rect" not in page(tmp_path, row(box=None))


def test_nothing_of_the_data_becomes_markup(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'"
    names = ("question", "answer", "answer_neg", "domain", "source", "licence", "id")
    changes = dict.fromkeys(names, bad) | {"choices": [bad], "checks": [{"name": bad, "passed": True, "detail": ""}]}
    text = page(tmp_path, row(**changes), limits=[bad], tiles=[(bad, bad)], config={"a": bad})
    assert "<script" not in text
    assert "&lt;T&gt;" in text
    assert "default-src 'none'" in text
    assert not list(tmp_path.glob("*.part"))
