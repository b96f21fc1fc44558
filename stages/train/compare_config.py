"""Settings of the comparison of objectives. Free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.train.config import Objective, TrainConfig


class CompareConfig(StageConfig):
    """Several objectives and the base on one dataset and one budget, over several seeds."""

    objectives: list[Objective] = Field(["grpo", "da_sft", "da_rl", "contextrl"])
    """What is compared with the base."""
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    """One run of each objective for each seed."""
    train: TrainConfig = TrainConfig()
    """The run; its objective, seed and output are replaced."""
    probe_split: str = "probe"
    """Split on which selection accuracy is measured."""
    output: Path = Path("data/runs/compare")
    """Folder of the runs, compare.json, compare.md and compare.png."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds) or len(set(self.objectives)) != len(self.objectives):
            raise ValueError("objectives and seeds must not repeat")
        if not self.train.tasks.eval_split:
            raise ValueError("train.tasks.eval_split is empty; it gives the task reward that is compared")
        return self
