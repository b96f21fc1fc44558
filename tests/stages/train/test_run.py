"""A run from settings to a model."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]


@pytest.mark.parametrize("objective", ["grpo", "contextrl", "da_sft", "da_rl"])
def test_every_objective_trains_and_leaves_a_model(settings: Build, tmp_path: Path, objective: str) -> None:
    config = settings(objective=objective, tasks={"eval_split": "validation", "eval_limit": 16})
    result = run_train(config)
    assert result.steps == (4 if objective == "da_sft" else 3)  # 24 pairs are one supervised step of 32
    assert result.reward is not None
    assert (config.output / "model" / "model.safetensors").is_file()
    card = (config.output / "model" / "README.md").read_text()
    assert f"| selection accuracy after | {result.selection_after:.4g} |" in card
    assert f"run `{result.key}`" in card
    keys = json.loads((config.output / "run.json").read_text())
    assert f"pairs `{keys['pairs']}`, tasks `{keys['tasks']}`" in card
    settings_in_card = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    assert TrainConfig.model_validate(settings_in_card) == config
    assert (config.output / "model" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_tracker_gets_what_the_log_gets(settings: Build) -> None:
    config = settings(log={"report_to": ["tensorboard"]})
    run_train(config)
    (events,) = config.output.rglob("events.out.tfevents.*")
    read = EventAccumulator(str(events.parent)).Reload()
    logged = [line["contrast/loss"] for line in RunFolder(config.output).log() if "contrast/loss" in line]
    assert [event.value for event in read.Scalars("train/contrast/loss")] == pytest.approx(logged)


def test_a_hub_that_cannot_be_reached_is_seen_before_the_first_step(settings: Build) -> None:
    config = settings(log={"push_to": "nobody/nothing"})  # no network, offline mode or no token: the same line
    with pytest.raises(SetupError, match=r"cannot make log\.push_to nobody/nothing.* — log in"):
        run_train(config)
    assert not (config.output / "log.jsonl").read_text()


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_a_tracker_that_is_missing_is_one_line_with_the_remedy(settings: Build) -> None:
    with pytest.raises(SetupError, match="wandb, which is not installed — pip install wandb"):
        run_train(settings(log={"report_to": ["wandb"]}))
