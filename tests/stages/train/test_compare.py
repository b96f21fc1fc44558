"""The comparison: every objective and the base, one table, one plot, and nothing done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError
from tiny_training import typed

from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.train.compare import run_compare
from contextrl_data.stages.train.compare_config import CompareConfig
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.statistics import wilson

Build = Callable[..., TrainConfig]


def comparison(settings: Build, folder: Path) -> CompareConfig:
    train = settings(tasks={"eval_split": "validation", "eval_limit": 8}, rl={"steps": 2})
    return CompareConfig(seeds=[0, 1], train=train, output=folder, objectives=["grpo", "da_rl", "contextrl"])


def test_compare_writes_a_table_and_goes_on_where_it_stopped(settings: Build, tmp_path: Path) -> None:
    config = comparison(settings, tmp_path / "compare")
    rows = run_compare(config)
    assert [row.objective for row in rows] == ["base", "grpo", "da_rl", "contextrl"]
    assert all(0 <= row.selection_low <= row.selection <= row.selection_high <= 1 for row in rows)
    base = rows[0]  # 16 pairs, as the settings limit them
    assert (base.selection_low, base.selection_high) == pytest.approx(wilson(base.selection * 16, 16))
    markdown = (config.output / "compare.md").read_text()
    assert all(f"| {row.objective} | 2 | {row.selection:.3f} |" in markdown for row in rows)
    assert (config.output / "compare.png").stat().st_size > 1000

    keys = [json.loads((config.output / f"{o}-0" / "run.json").read_text()) for o in config.objectives]
    assert len({(key["pairs"], key["tasks"]) for key in keys}) == 1, "all on the same data"
    assert len({key["key"] for key in keys}) == len(keys)

    with pytest.raises(RunError, match="add --resume"):
        run_compare(config)
    (config.output / "contextrl-1" / "result.json").unlink()
    again = run_compare(config, resume=True)
    assert [(r.selection, r.reward) for r in again] == [(r.selection, r.reward) for r in rows]


def test_a_comparison_of_other_settings_is_refused(settings: Build, tmp_path: Path) -> None:
    config = comparison(settings, tmp_path / "compare").model_copy(update={"objectives": ["grpo"], "seeds": [0]})
    run_compare(config)
    other = config.model_copy(update={"train": settings(tasks={"eval_split": "validation", "eval_limit": 4})})
    with pytest.raises(RunError, match=r"holds the comparison .* and these settings or data make .* another folder"):
        run_compare(other, resume=True)


def test_the_shipped_smoke_comparison_as_a_user_types_it(model: Path, pairs: Path, tasks: Path, tmp_path: Path) -> None:
    changes = {
        "train.model": model, "train.pairs.dataset": pairs, "train.tasks.dataset": tasks, "output": tmp_path / "compared",
        "train.pairs.max_tokens": 512, "train.rl.max_completion_tokens": 4,
        "train.tasks.rewards": "['tiny_training:share_said']",
    }  # fmt: skip
    words = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    done = typed("compare", "--config", "smoke/compare", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| objective | seeds |"), "nothing is said before the table"
    rows = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert [(row["objective"], row["seeds"]) for row in rows] == [
        (name, 2) for name in ("base", "grpo", "da_sft", "da_rl", "contextrl")
    ]
    for row in rows:
        assert f"| {row['objective']} | 2 | {row['selection']:.3f} |" in done.stdout
        assert row["reward_low"] <= row["reward"] <= row["reward_high"]
    picture = Image.open(tmp_path / "compared" / "compare.png")
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 20, "something is drawn"


def test_a_comparison_without_a_task_reward_is_refused(settings: Build) -> None:
    with pytest.raises(ValidationError, match=r"tasks\.eval_split is empty"):
        CompareConfig(train=settings())
