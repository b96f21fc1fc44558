"""`train --dry-run`: what a run would do, and every refusal, without a weight being loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from contextrl_data.pipeline.config import find, load
from contextrl_data.pipeline.errors import InputError, RunError
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.dry_run import plan_run
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]


@pytest.fixture
def weightless(model: Path, tmp_path: Path) -> Path:
    """A model's folder without its weights."""
    return Path(shutil.copytree(model, tmp_path / "weightless", ignore=shutil.ignore_patterns("*.safetensors")))


@pytest.mark.parametrize("objective", ["grpo", "contextrl", "da_sft", "da_rl"])
def test_the_plan_is_what_the_run_does(settings: Build, weightless: Path, objective: str) -> None:
    config = settings(objective=objective, model=str(weightless))
    plan = dict(plan_run(config))
    assert not config.output.exists()
    assert plan["RL steps"].startswith("3 x 4 prompts x 4 completions = 48 completions")
    seen = {"contextrl": "24, 0.06 passes; 8 pairs a step, lambda 0.3", "da_sft": "32, 0.08 passes; 1 supervised steps"}
    if objective != "grpo":
        assert plan["pairs"] == "400 of 400 pairs fit 512 tokens"
        assert plan["options"].startswith("'A' = ")
        assert plan["pairs seen"].startswith(seen.get(objective, "512, 1.28 passes; 66.7% of the prompts"))
    steps = run_train(settings(objective=objective)).steps
    assert f"of {steps} steps" in plan["checkpoints"]


@pytest.mark.parametrize("name", ["qwen3-8b", "klear-agentforge-8b", "qwen2.5-vl-7b", "qwen3-vl-8b"])
def test_the_papers_runs_hold_together(name: str, weightless: Path, pairs: Path, tasks: Path) -> None:
    """On the toy's tokenizer and data: batches, schedule, and TRL's own check of its arguments."""
    toy = {
        "model": weightless, "pairs.dataset": pairs, "tasks.dataset": tasks, "tasks.rewards": "[qa]",
        "pairs.max_tokens": 512, "engine.vllm": "off", "engine.cpu": True, "processor": "{}",
    }  # fmt: skip
    config = load(TrainConfig, find(f"train/{name}"), [f"{key}={value}" for key, value in toy.items()])
    plan = dict(plan_run(config))
    assert "x 8 completions" in plan["RL steps"]
    assert "3.00 passes" in plan["RL steps"]
    assert f"lambda {config.contrast.weight:g}" in plan["pairs seen"]


def test_the_folder_is_checked_and_left_as_it_is(settings: Build, tmp_path: Path) -> None:
    config = settings(rl={"steps": 2}, log={"save_every": 1})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty and holds no training run"):
        plan_run(config.model_copy(update={"output": tmp_path / "other"}))
    with pytest.raises(RunError, match=r"thesis\.txt is a file"):
        plan_run(config.model_copy(update={"output": tmp_path / "other" / "thesis.txt"}))
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]

    run_train(config)
    assert dict(plan_run(config, resume=True))["resume"] == "the run is finished: there is nothing to do"
    (config.output / "result.json").unlink()
    (config.output / "checkpoint-2" / "trainer_state.json").unlink()  # torn: a run would remove it
    assert dict(plan_run(config, resume=True))["resume"] == "goes on after step 1"
    assert (config.output / "checkpoint-2").is_dir()
    with pytest.raises(RunError, match="add --resume"):
        plan_run(config)
    with pytest.raises(RunError, match="these settings or data make run"):
        plan_run(config.model_copy(update={"seed": 1}), resume=True)


def test_a_split_that_only_the_default_names_is_passed_over_with_a_note(
    settings: Build, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = shutil.copytree(pairs, tmp_path / "few", ignore=shutil.ignore_patterns("validation-*"))
    config = settings(pairs={"dataset": str(few)}, rl={"steps": 1})
    note = "has no split 'validation': selection accuracy is not measured (it has train, probe;"
    assert note in dict(plan_run(config))["note"]
    result = run_train(config)
    assert (result.selection_after, result.selection_pairs) == (None, 0)
    assert note in capsys.readouterr().err
    assert "Selection accuracy was not measured." in (config.output / "model" / "README.md").read_text()
    again = load(TrainConfig, config.output / "resolved.yaml")
    assert again.pairs.eval_split == ""
    assert run_train(again, resume=True) == result, "the same run by its resolved settings"
    with pytest.raises(InputError, match=r"no split 'validation', only .* --set pairs\.eval_split= to measure nothing"):
        plan_run(settings(pairs={"dataset": str(few), "eval_split": "validation"}, output=str(tmp_path / "other")))


def test_what_training_would_refuse_is_refused(settings: Build) -> None:
    with pytest.raises(InputError, match="not a single token"):
        plan_run(settings(pairs={"labels": ["First one", "Second one"]}))
