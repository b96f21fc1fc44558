"""A killed run goes on as if nothing had happened."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_training import child_environment

from contextrl_data.pipeline.config import find, load
from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]
SCRIPT = """
import json, sys
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.run import run_train
run_train(TrainConfig.model_validate(json.loads(sys.argv[1])), resume=sys.argv[2] == "resume")
"""
SAME = ("loss", "reward", "grad_norm", "contrast/loss", "contrast/margin", "sft/loss", "selection/accuracy")


def start(config: TrainConfig, how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, config.model_dump_json(), how],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
    )


def lines(folder: Path) -> list[dict[str, float]]:
    return [
        {key: line[key] for key in ("step", *SAME) if key in line}
        for line in map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    ]


OBJECTIVES = ["contextrl", *(pytest.param(name, marks=pytest.mark.campaign) for name in ("da_sft", "grpo", "da_rl"))]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_kill_and_resume_gives_the_same_losses(settings: Build, tmp_path: Path, objective: str) -> None:
    def config(name: str) -> TrainConfig:
        return settings(
            output=str(tmp_path / name),
            objective=objective,
            rl={"steps": 14, "sequences_per_device": 8},
            controls={"sft_pairs_per_step": 16, "sft_learning_rate": 2e-3},
            log={"save_every": 3, "eval_every": 4},
        )

    whole, cut = config("whole"), config("cut")
    run_train(whole)
    process = start(cut, "new")
    deadline = time.monotonic() + 120
    while not (cut.output / "log.jsonl").exists() or len(lines(cut.output)) < 6:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (cut.output / "result.json").exists()
    assert start(cut, "resume").wait(timeout=120) == 0
    assert lines(cut.output) == lines(whole.output)
    ours, theirs = (json.loads((c.output / "result.json").read_text()) for c in (cut, whole))
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


@pytest.mark.parametrize("name", ["qwen3-8b", "klear-agentforge-8b"])
def test_the_papers_text_runs_train_and_go_on_between_two_rollouts(
    model: Path, pairs: Path, tasks: Path, tmp_path: Path, name: str
) -> None:
    """All that the shipped files say, but for sizes: KL, dual clip, and two optimizer steps of each rollout."""
    few = {
        "model": model, "pairs.dataset": pairs, "tasks.dataset": tasks, "tasks.rewards": "['tiny_training:length_said']",
        "pairs.max_tokens": 512, "pairs.eval_limit": 4, "engine.vllm": "off", "engine.cpu": True, "output": tmp_path / "run",
        "rl.steps": 4, "rl.prompts_per_step": 2, "rl.rollout_prompts": 4, "rl.generations": 2, "rl.sequences_per_device": 2,
        "rl.max_completion_tokens": 4, "contrast.pairs_per_step": 2, "log.save_every": 2,
    }  # fmt: skip
    config = load(TrainConfig, find(f"train/{name}"), [f"{key}={value}" for key, value in few.items()])
    run_train(config)
    expected = lines(config.output)
    assert [line["grad_norm"] > 0 for line in expected[1:]] == [True] * 4
    (config.output / "result.json").unlink()
    shutil.rmtree(config.output / "checkpoint-4")
    run_train(config, resume=True)
    assert lines(config.output) == expected


def test_a_torn_checkpoint_is_passed_over(settings: Build) -> None:
    config = settings(rl={"steps": 4}, log={"save_every": 2, "keep": None})
    run_train(config)
    expected = lines(config.output)
    (config.output / "result.json").unlink()
    state = config.output / "checkpoint-4" / "trainer_state.json"
    state.write_text(state.read_text()[:40])
    run_train(config, resume=True)
    assert lines(config.output) == expected


def test_a_finished_run_is_not_repeated(settings: Build) -> None:
    config = settings(rl={"steps": 1})
    assert run_train(config) == run_train(config, resume=True)


def test_a_folder_is_not_overwritten(settings: Build) -> None:
    run_train(settings(rl={"steps": 1}))
    with pytest.raises(RunError, match="add --resume"):
        run_train(settings(rl={"steps": 1}))
    with pytest.raises(RunError, match=r"holds run .* and these settings or data make run"):
        run_train(settings(rl={"steps": 1}, seed=5), resume=True)


def test_a_folder_of_something_else_is_refused(settings: Build) -> None:
    config = settings()
    config.output.mkdir(parents=True)
    (config.output / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="holds no training run"):
        run_train(config, resume=True)
