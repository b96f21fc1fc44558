"""What L_CA costs: time and peak memory of an optimizer step, plain GRPO against GRPO with L_CA at the paper's mix.

    python tests/benchmarks/bench_train_step.py [MODEL] [TOKENS ...]

Prompts of the tasks and of the choices are filled up to TOKENS; 8 prompts x 8 completions and 8 pairs a step. Each way
runs in a process of its own, so that its peak memory is its own. Without MODEL: a tiny one, which shows that this runs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
STEPS = 5
SAID = 128
"""Tokens of a completion."""


def filler(processor: Any, tokens: int) -> str:
    """Text of about so many tokens."""
    unit = "red dog sky cup map "
    each = len(processor(unit * 50, add_special_tokens=False)["input_ids"]) / 50
    return unit * int(tokens / each)


def write_data(folder: Path, processor: Any, tokens: int) -> None:
    """Tasks and pairs of the wanted length."""
    from tiny_training import write_split

    room = max(tokens - 256, 16)
    text, half = filler(processor, room), filler(processor, room // 2)
    for split in ("train", "validation"):
        write_split(folder / "tasks", split, [{"question": f"{text} {i}", "answer": str(i % 8)} for i in range(16)])
        rows = [
            {
                "id": f"{split}{i}",
                "question": "Which?",
                "answer": str(i),
                "context_pos": half + "1",
                "context_neg": half,
            }
            for i in range(16)
        ]
        write_split(folder / "pairs", split, rows)


def measure(model: str, tokens: int, objective: str) -> dict[str, float]:
    """Median step time after the first step, and the peak."""
    import torch

    from contextrl_data.stages.train.config import TrainConfig
    from contextrl_data.stages.train.folder import RunFolder
    from contextrl_data.stages.train.models import load_processor
    from contextrl_data.stages.train.run import run_train

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not model:
            from tiny_training import save_model

            model = str(save_model(folder / "model", positions=2 * tokens + 512))
        write_data(folder, load_processor(model), tokens)
        tree: dict[str, Any] = {
            "model": model,
            "objective": objective,
            "output": str(folder / "run"),
            "pairs": {"dataset": str(folder / "pairs"), "max_tokens": tokens, "eval_split": ""},
            "tasks": {"dataset": str(folder / "tasks"), "rewards": ["accuracy"]},
            "contrast": {"pairs_per_step": 8, "pairs_per_forward": 1},
            "rl": {
                "steps": STEPS, "prompts_per_step": 8, "generations": 8, "sequences_per_device": 1,
                "max_prompt_tokens": tokens, "max_completion_tokens": SAID,
            },
            "engine": {"grpo": {"save_strategy": "no"}},
        }  # fmt: skip
        config = TrainConfig.model_validate(tree)
        run_train(config)
        times = [line["step_time"] for line in RunFolder(config.output).log() if "step_time" in line]
    cuda = torch.cuda.is_available()
    peak = (
        torch.cuda.max_memory_allocated() / 2**30
        if cuda
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    )
    return {"seconds": median(times[1:]), "peak_gib": peak}


def main(model: str = "", *tokens: str) -> None:
    """Measure every length in both ways and print a table."""
    print("| tokens | GRPO, s | with L_CA, s | more time | GRPO peak, GiB | with L_CA, GiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for length in tokens or (("2048", "8192", "32768") if model else ("256",)):
        found = {}
        for objective in ("grpo", "contextrl"):
            command = [sys.executable, __file__, "--one", model, length, objective]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr[-2000:])
            found[objective] = json.loads(done.stdout.splitlines()[-1])
        alone, both = found["grpo"], found["contextrl"]
        print(
            f"| {length} | {alone['seconds']:.2f} | {both['seconds']:.2f} | {both['seconds'] / alone['seconds'] - 1:+.1%} "
            f"| {alone['peak_gib']:.2f} | {both['peak_gib']:.2f} |"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
    else:
        main(*sys.argv[1:])
