"""Builds on disk: found again, shown while unfinished, published without a half state."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import toy_pipeline as toy
from rich.console import Console

from contextrl_data.pipeline.build import builds, find_build, publish_files, read_build, run_build, start_build
from contextrl_data.pipeline.config import load
from contextrl_data.pipeline.errors import ConfigError, RunError
from contextrl_data.pipeline.executors.ray import Needs, RaySettings
from contextrl_data.pipeline.plan import RunSettings
from contextrl_data.pipeline.progress import Progress
from contextrl_data.pipeline.status import show_status


def build(root: Path, **change: int):  # type: ignore[no-untyped-def]
    return run_build(
        "toy", toy.LargestConfig(), RunSettings(root=root, workers=1), toy.steps(count=300, **change), Progress()
    )


def shown(root: Path, wanted: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=160)
    show_status(root, wanted, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_same_config_lands_in_the_same_folder(tmp_path: Path) -> None:
    first, _ = build(tmp_path)
    second, finished = build(tmp_path)
    assert first.path == second.path
    assert all(done.reused for done in finished.values())
    other, _ = build(tmp_path, largest=7)
    assert other.path != first.path
    assert [found.path for found in builds(tmp_path)] == [first.path, other.path]
    assert find_build(tmp_path, None).path == other.path
    assert find_build(tmp_path, first.path.name) == find_build(tmp_path, str(first.path)) == first
    assert (first.path / "resolved.yaml").read_text() == "count: 1200\n"


def test_where_to_run_is_checked_before_anything_runs(tmp_path: Path) -> None:
    settings = RunSettings(root=tmp_path, executor="ray", ray=RaySettings(stages={"splt": Needs(gpu=1)}))
    with pytest.raises(
        ConfigError, match=r"run\.ray\.stages\.splt: Ray runs no such stage here .* it runs split, dear"
    ):
        run_build("toy", toy.LargestConfig(), settings, toy.steps(), Progress())
    for bucket in ("s3://bucket/runs", "gs://bucket/runs"):
        with pytest.raises(ConfigError, match=r"root.*must be a folder that every worker sees.* no bucket will do"):
            load(RunSettings, None, [f"root={bucket}"])


def test_status_of_a_finished_and_of_a_stopped_build(tmp_path: Path) -> None:
    folder, finished = build(tmp_path)
    text = shown(tmp_path)
    assert "✓ numbers" in text
    assert "3 multiple of 100" in text
    (finished["dear"].folder.path / "manifest.json").unlink()
    text = shown(tmp_path, folder.path.name)
    assert "▸ dear" in text
    assert "rows saved" in text
    assert folder.funnel()[2].state == "stopped"
    with pytest.raises(RunError, match="has not finished 'dear'"):
        folder.finished("dear")
    assert folder.finished("largest").manifest.rows_out == finished["largest"].manifest.rows_out


def test_status_of_a_build_that_never_began(tmp_path: Path) -> None:
    start_build("toy", toy.LargestConfig(), RunSettings(root=tmp_path), toy.steps())
    assert "waiting" in {row.state for row in find_build(tmp_path, None).funnel()}
    assert "numbers" in shown(tmp_path)


def test_a_folder_that_is_no_build_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no build below"):
        find_build(tmp_path, None)
    (tmp_path / "build.json").write_text('["not", "a", "build"]')
    with pytest.raises(RunError, match="is no build folder"):
        read_build(tmp_path)
    with pytest.raises(RunError, match="is no build folder"):
        find_build(tmp_path, "nothing-here")


def test_published_files_replace_what_was_there(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "data").mkdir(parents=True)
    (source / "data" / "a").write_text("new")
    target = tmp_path / "target"
    target.mkdir()
    (target / "stale").write_text("old")
    publish_files(source, target)
    assert [p.name for p in target.rglob("*") if p.is_file()] == ["a"]
    assert (target / "data" / "a").read_text() == "new"
