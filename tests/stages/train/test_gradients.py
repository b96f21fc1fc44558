"""The gradient of L_GRPO + lambda * L_CA, against a reference in float64 that shares no line with the trainer.

GRPO is active in every case: its own batches are recorded, and the reference adds its term from them.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradient_worker
import pytest
import torch
from datasets import load_dataset
from tiny_training import child_environment
from transformers import AutoModelForCausalLM, AutoTokenizer

from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.sampler import PairStream

Build = Callable[..., TrainConfig]
RATE = 1000.0  # of SGD: large, so that rounding of the weights does not hide the gradient
PAIRS = 6
WEIGHT = 0.7
CLIP = 1.0  # small, so that some margins are beyond it


def settings_for(build: Build, out: Path, backward: str, sequences: int, **engine: Any) -> TrainConfig:
    """16 sequences and 6 pairs in one step, in as many micro-steps as `sequences` asks for."""
    return build(
        output=str(out),
        pairs={"eval_split": ""},
        tasks={"rewards": ["tiny_training:length_said"]},
        contrast={
            "weight": WEIGHT,
            "pairs_per_step": PAIRS,
            "pairs_per_forward": 2,
            "backward": backward,
            "clip": CLIP,
        },
        rl={
            "steps": 1,
            "sequences_per_device": sequences,
            "learning_rate": RATE,
            "loss_type": "grpo",
            "max_grad_norm": 0.0,
        },
        engine={"grpo": {"optim": "sgd", "save_strategy": "no"}, **engine},
    )


def reference(config: TrainConfig, batches: list[dict[str, torch.Tensor]]) -> tuple[dict[str, Any], float, float]:
    """Gradients in float64, and the norms of the two terms' parts."""
    tokenizer = AutoTokenizer.from_pretrained(config.model)
    model = AutoModelForCausalLM.from_pretrained(config.model, dtype=torch.float64)
    policy = torch.zeros((), dtype=torch.float64)
    count = sum(len(batch["advantages"]) for batch in batches)
    for batch in batches:
        for row in range(len(batch["advantages"])):
            prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
            said = batch["completion_ids"][row][batch["completion_mask"][row].bool()]
            logits = model(torch.cat([prompt, said])[None]).logits[0, len(prompt) - 1 : -1]
            each = logits.log_softmax(-1).gather(1, said[:, None])[:, 0]
            policy = policy - batch["advantages"][row].double() * each.mean() / count
    parts = torch.autograd.grad(policy, list(model.parameters()), retain_graph=True)
    policy_norm = sum(g.pow(2).sum() for g in parts).sqrt().item()

    rows = load_dataset(config.pairs.dataset, split="train")
    stream = PairStream(rows["id"], config.seed)
    ids = [tokenizer("A", add_special_tokens=False).input_ids[0], tokenizer("B", add_special_tokens=False).input_ids[0]]
    contrast = torch.zeros((), dtype=torch.float64)
    for position in range(PAIRS):
        draw = stream.at(position)
        row = rows[draw.index]
        contexts = [f"[tool]\n{row[name][0]['content']}" for name in ("context_pos", "context_neg")]
        if draw.flipped:
            contexts.reverse()
        text = f"<|im_start|>user\n{row['question']} {row['answer']}: {contexts[0]} | {contexts[1]}<|im_end|>\n"
        prompt = tokenizer(text + "<|im_start|>assistant\n", add_special_tokens=False, return_tensors="pt").input_ids
        logits = model(prompt).logits[0, -1]
        margin = logits[ids[draw.flipped]] - logits[ids[not draw.flipped]]
        contrast = contrast - torch.nn.functional.logsigmoid(margin.clamp(-CLIP, CLIP)) / PAIRS
    (policy + WEIGHT * contrast).backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    total = sum(g.pow(2).sum() for g in grads.values()).sqrt().item()
    return grads, policy_norm / total, contrast.item()


def assert_true_gradient(config: TrainConfig, out: Path, world: int, distributed: str) -> None:
    """The weights moved by the reference's gradient, within 1e-5 of its norm."""
    batches = [b for rank in range(world) for b in torch.load(out / f"batches-{rank}.pt")]
    saved = torch.load(out / "weights.pt")
    assert saved["logged"]["distributed"].endswith(distributed)
    grads, policy_share, contrast = reference(config, batches)
    assert 0.05 < policy_share < 20, "GRPO's term must matter in this test"
    assert saved["logged"]["contrast"] == pytest.approx(contrast, rel=1e-5)
    off = whole = 0.0
    for name, grad in grads.items():
        moved = (saved["before"][name].double() - saved["after"][name].double()) / RATE
        off += (moved - grad).pow(2).sum().item()
        whole += grad.pow(2).sum().item()
    assert whole > 0
    assert (off / whole) ** 0.5 < 1e-5


@pytest.mark.parametrize("backward", ["joint", "separate"])
@pytest.mark.parametrize("micro_steps", [1, 2, 4])
def test_one_process(settings: Build, tmp_path: Path, backward: str, micro_steps: int) -> None:
    config = settings_for(settings, tmp_path / "run", backward, 16 // micro_steps)
    gradient_worker.one_step(config, tmp_path / "out")
    assert_true_gradient(config, tmp_path / "out", 1, "NO")


def test_one_process_with_gradient_checkpointing(settings: Build, tmp_path: Path) -> None:
    config = settings_for(settings, tmp_path / "run", "separate", 8, gradient_checkpointing=True)
    gradient_worker.one_step(config, tmp_path / "out")
    assert_true_gradient(config, tmp_path / "out", 1, "NO")


def launch(
    settings: Build,
    tmp_path: Path,
    distributed: str,
    per_device: tuple[int, ...],
    environment: dict[str, str] | None = None,
    **engine: Any,
) -> None:
    """Two processes, both ways of backward, one (8 a device) or two micro-steps (4), each against the reference."""
    cases = [(backward, sequences) for backward in ("joint", "separate") for sequences in per_device]
    configs = [
        settings_for(settings, tmp_path / f"run-{backward}-{sequences}", backward, sequences, **engine)
        for backward, sequences in cases
    ]
    outs = [tmp_path / f"out-{backward}-{sequences}" for backward, sequences in cases]
    jobs = [{"config": c.model_dump(mode="json"), "out": str(o)} for c, o in zip(configs, outs, strict=True)]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(Path(gradient_worker.__file__)), str(tmp_path / "jobs.json")],
        capture_output=True,
        text=True,
        timeout=300,
        env=child_environment() | (environment or {}),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for config, out in zip(configs, outs, strict=True):
        assert_true_gradient(config, out, 2, distributed)


@pytest.mark.parametrize("per_device", [(4,), pytest.param((8,), marks=pytest.mark.campaign)])
def test_ddp_on_two_processes(settings: Build, tmp_path: Path, per_device: tuple[int, ...]) -> None:
    launch(settings, tmp_path, "MULTI_CPU", per_device)


@pytest.mark.campaign
@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed")
@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_zero_on_two_processes(settings: Build, tmp_path: Path, stage: int) -> None:
    zero = {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "zero_allow_untested_optimizer": True,
        "gradient_clipping": 0.0,  # else accelerate fills in 1.0
        "zero_optimization": {"stage": stage},
    }
    (tmp_path / "zero.json").write_text(json.dumps(zero))
    launch(settings, tmp_path, "DEEPSPEED", (8, 4), deepspeed=str(tmp_path / "zero.json"))


FSDP2 = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "Qwen3DecoderLayer",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
"""What `accelerate launch` sets for FSDP2."""


@pytest.mark.parametrize("per_device", [(4,), pytest.param((8,), marks=pytest.mark.campaign)])
def test_fsdp2_on_two_processes(settings: Build, tmp_path: Path, per_device: tuple[int, ...]) -> None:
    launch(settings, tmp_path, "FSDP", per_device, FSDP2)
