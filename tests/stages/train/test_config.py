"""Settings: every shipped file loads, and what cannot be right is refused with its remedy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contextrl_data.pipeline.config import find, load
from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.stages.coding.repair_tasks import REPAIR_TASK
from contextrl_data.stages.train.arguments import accumulation, choose_backward
from contextrl_data.stages.train.compare_config import CompareConfig
from contextrl_data.stages.train.config import RLConfig, TrainConfig
from contextrl_data.stages.train.rewards import columns_of

CONFIGS = Path(__file__).parents[3] / "configs"
SHIPPED = [CONFIGS / "train.yaml", *sorted((CONFIGS / "train").glob("*.yaml"))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_load_and_their_batches_divide(path: Path) -> None:
    config = load(TrainConfig, path)
    assert accumulation(config.rl, 1) >= 1


@pytest.mark.parametrize("name", ["compare", "smoke/compare"])
def test_shipped_comparisons_load_and_have_all_objectives_on_one_budget(name: str) -> None:
    config = load(CompareConfig, find(name))
    assert config.objectives == ["grpo", "da_sft", "da_rl", "contextrl"]
    assert len(config.seeds) >= 2
    assert accumulation(config.train.rl, 1) >= 1


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_reward_what_the_named_command_writes(path: Path) -> None:
    tasks = load(TrainConfig, path).tasks
    written = REPAIR_TASK.names if tasks.dataset == "data/tasks" else ["question", "answer", "images"]
    assert [name for name in tasks.rewards if not columns_of(name) <= {*written, "reward"}] == []


def test_shipped_comparisons_reward_what_the_named_command_writes() -> None:
    for name in ("compare", "smoke/compare"):
        tasks = load(CompareConfig, find(name)).train.tasks
        assert [name for name in tasks.rewards if not columns_of(name) <= set(REPAIR_TASK.names)] == []


def test_the_smoke_runs_read_as_much_as_their_model_can() -> None:
    """Pairs of a small coding build have 5,600 tokens and more; SmolLM2 has 8,192 positions."""
    assert load(TrainConfig, find("train/smoke")).pairs.max_tokens == 8192
    assert load(CompareConfig, find("smoke/compare")).train.pairs.max_tokens == 8192


@pytest.mark.parametrize(
    ("name", "weight", "rate", "kl"),
    [
        ("qwen3-8b", 0.001, 2e-6, 1e-3),
        ("klear-agentforge-8b", 0.005, 2e-6, 1e-3),
        ("qwen2.5-vl-7b", 0.005, 1e-6, 1e-2),
        ("qwen3-vl-8b", 0.001, 1e-6, 1e-2),
    ],
)
def test_the_papers_runs_hold_the_papers_values(name: str, weight: float, rate: float, kl: float) -> None:
    config = load(TrainConfig, CONFIGS / "train" / f"{name}.yaml")
    assert (config.contrast.weight, config.rl.learning_rate, config.rl.kl) == (weight, rate, kl)
    assert (config.contrast.clip, config.rl.generations, config.contrast.clip_mode) == (5.0, 8, "two_sided")


@pytest.mark.parametrize("name", ["qwen3-8b", "klear-agentforge-8b", "qwen2.5-vl-7b", "qwen3-vl-8b"])
def test_every_value_of_the_papers_runs_has_its_origin(name: str) -> None:
    _, _, settings = (CONFIGS / "train" / f"{name}.yaml").read_text().partition("\npairs:\n")
    values = [line for line in settings.splitlines() if line.startswith("  ")]
    assert len(values) > 20
    assert [line for line in values if not re.search(r"# \[(paper|code|ours)\]", line)] == []


def test_settings_import_nothing_heavy() -> None:
    script = (
        "import sys, contextrl_data.stages.train.config, contextrl_data.stages.train.probe_config,"
        "contextrl_data.stages.train.compare_config, contextrl_data.stages.train.run,"
        "contextrl_data.stages.train.probe, contextrl_data.stages.train.compare;"
        "print(*sorted({'torch', 'trl', 'transformers', 'datasets', 'accelerate', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pairs": {"template": "{question} {answer} {context_a}"}}, "lacks {context_b}"),
        ({"pairs": {"labels": ["A", "A"]}}, "two different"),
        ({"contrast": {"share_end": 0.2}}, "needs contrast.share"),
        ({"rl": {"prompts_per_step": 8, "rollout_prompts": 12}}, "no multiple"),
        ({"rl": {"prompts_per_step": 8, "rollout_prompts": 32}, "log": {"save_every": 5}}, "inside a rollout"),
        ({"tasks": {"reward_weights": [1.0, 2.0]}}, "2 numbers for 1 rewards"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TrainConfig.model_validate(changes)


def test_vllm_can_be_switched_off_from_the_command_line() -> None:
    assert load(TrainConfig, CONFIGS / "train" / "qwen3-8b.yaml", ["engine.vllm=off"]).engine.vllm == "off"


def test_sequences_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="make the product a multiple"):
        accumulation(RLConfig(prompts_per_step=3, generations=3, sequences_per_device=2), 2)


@pytest.mark.parametrize(
    ("backward", "unused", "pair_images", "task_images", "world", "expected"),
    [
        ("auto", None, False, False, 8, "separate"),
        ("joint", None, True, True, 8, "joint"),
        ("joint", None, False, True, 8, "contrast.backward joint fails"),
        ("joint", None, False, True, 1, "joint"),
        ("separate", False, True, False, 2, "wrong gradients"),
        ("auto", None, True, False, 2, "separate"),
    ],
)
def test_combinations_known_to_give_wrong_gradients_are_refused(
    backward: str, unused: bool | None, pair_images: bool, task_images: bool, world: int, expected: str
) -> None:
    config = TrainConfig.model_validate(
        {"contrast": {"backward": backward}, "engine": {"find_unused_parameters": unused}}
    )
    if expected in ("joint", "separate"):
        assert choose_backward(config, pair_images, task_images, True, world) == expected
    else:
        with pytest.raises(ConfigError, match=expected):
            choose_backward(config, pair_images, task_images, True, world)
