from __future__ import annotations

import io
from pathlib import Path

import pytest
import toy_pipeline as toy
from rich.console import Console

from contextrl_data.pipeline.plan import RunSettings
from contextrl_data.stages.finish import exit_code


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """While it exists, 30 of 297 rows of the stage `split` fail."""
    (tmp_path / "broken").touch()
    return tmp_path / "broken"


@pytest.mark.parametrize(("allowed", "code"), [(0.0, 1), (0.09, 1), (0.11, 0)])
def test_missing_rows_end_a_build_with_exit_code_1(flag: Path, tmp_path: Path, allowed: float, code: int) -> None:
    finished = toy.run(tmp_path / "runs", toy.steps(count=300, fail_file=str(flag), dear=False))
    said = io.StringIO()
    run = RunSettings(root=tmp_path / "runs", allow_failed=allowed)
    assert exit_code(Console(file=said, width=200), run, finished) == code
    lines = said.getvalue().splitlines()
    assert len(lines) == (2 if code else 0)
    if code:
        assert lines[0].startswith("split: 30 of 297 rows failed (30 toy): run again to retry them")
        assert lines[1] == "split: the first was n7: the file is there"


def test_a_build_without_failures_ends_with_0(tmp_path: Path) -> None:
    finished = toy.run(tmp_path / "runs", toy.steps(count=100, dear=False))
    assert exit_code(Console(file=io.StringIO()), RunSettings(root=tmp_path / "runs"), finished) == 0
