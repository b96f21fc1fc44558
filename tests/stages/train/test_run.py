"""A run from settings to a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]


@pytest.mark.parametrize("objective", ["grpo", "contextrl", "da_sft", "da_rl"])
def test_every_objective_trains_and_leaves_a_model(settings: Build, tmp_path: Path, objective: str) -> None:
    config = settings(objective=objective, tasks={"eval_split": "validation", "eval_limit": 16})
    result = run_train(config)
    assert result.steps == (4 if objective == "da_sft" else 3)  # 24 pairs are one supervised step of 32
    assert result.reward is not None
    assert (config.output / "model" / "model.safetensors").is_file()
    assert "selection accuracy after" in (config.output / "model" / "README.md").read_text()
