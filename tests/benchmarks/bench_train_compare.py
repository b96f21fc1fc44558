"""The comparison of objectives in the toy world of tests/toy_world.py: the table, and the plot beside it.

    bench_train_compare.py FOLDER [STEPS] [SEED ...]

The toy needs token matching only: this shows what `contextrl-data compare` measures and draws, nothing about transfer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from toy_world import SEEDS, build_world, learning_settings

from contextrl_data.stages.train.compare import run_compare, table
from contextrl_data.stages.train.compare_config import CompareConfig


def main(folder: Path, steps: int, seeds: list[int]) -> None:
    """Compare, or go on with a comparison that was stopped."""
    torch.set_num_threads(1)
    world = folder / "world"
    names = {name: str(world / name) for name in ("model", "pairs", "tasks")}
    train = learning_settings(names if world.exists() else build_world(world))
    train["rl"]["steps"] = steps
    tree = {"train": train, "seeds": seeds, "output": folder / "compared"}
    config = CompareConfig.model_validate(tree)
    print(table(run_compare(config, resume=config.output.exists())))
    print(f"{steps} steps of {train['rl']['prompts_per_step']} prompts; written to {config.output}")


if __name__ == "__main__":
    root, *rest = sys.argv[1:]
    numbers = [int(word) for word in rest]
    main(Path(root), numbers[0] if numbers else 400, numbers[1:] or list(SEEDS))
