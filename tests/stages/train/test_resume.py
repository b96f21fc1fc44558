"""A killed run goes on as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_training import child_environment

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
