"""The tiny model and toy data, made once for all training tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before anything of Hugging Face is imported.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="contextrl-data-test-"))
atexit.register(shutil.rmtree, os.environ["HF_DATASETS_CACHE"], ignore_errors=True)

import pytest  # noqa: E402
import torch  # noqa: E402
from no_hub import no_hub  # noqa: E402
from tiny_training import SHORT, save_model, write_pairs, write_tasks  # noqa: E402

from contextrl_data.stages.train.config import TrainConfig  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """Nothing here may look for a network."""
    with no_hub():
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3."""
    return save_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported dataset of toy pairs."""
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs")


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy RL tasks."""
    return write_tasks(tmp_path_factory.mktemp("tasks") / "tasks")


@pytest.fixture
def settings(model: Path, pairs: Path, tasks: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """Settings of a run of a few steps on the CPU; keywords replace whole parts' fields."""

    def build(**parts: Any) -> TrainConfig:
        tree: dict[str, Any] = {
            "model": str(model),
            "output": str(tmp_path / "run"),
            "pairs": {"dataset": str(pairs), "max_tokens": 512, "template": SHORT, "eval_limit": 16},
            "tasks": {"dataset": str(tasks), "rewards": ["tiny_training:share_said"]},
            "contrast": {"weight": 0.3, "pairs_per_step": 8, "pairs_per_forward": 8},
            "rl": {
                "steps": 3,
                "prompts_per_step": 4,
                "generations": 4,
                "sequences_per_device": 16,
                "max_completion_tokens": 4,
                "learning_rate": 1e-3,
            },
            "engine": {"cpu": True, "gradient_checkpointing": False},
        }
        for name, value in parts.items():
            tree[name] = {**tree.get(name, {}), **value} if isinstance(value, dict) else value
        return TrainConfig.model_validate(tree)

    return build
