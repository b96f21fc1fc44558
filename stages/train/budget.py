"""How much of what a run sees: the same for all objectives, so that they can be compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

from contextrl_data.stages.train.arguments import total_steps
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.sampler import Plan
from contextrl_data.stages.train.tasks import choices_beside


@dataclass(frozen=True)
class Budget:
    """How much of what a run sees: the same for all objectives, see docs/training.md."""

    rl_steps: int
    sft_steps: int
    plan: Plan
    """Of the pairs, in `contextrl`; the controls take their number from it."""
    pairs: int
    """Pairs that are drawn in the whole run."""
    share: float
    """Of choice tasks in the mixture of `da_rl`."""


def budget_of(config: TrainConfig, tasks: int) -> Budget:
    """The budget of a run over so many tasks."""
    steps = total_steps(config.rl, tasks)
    plan = Plan(config.contrast, config.rl.prompts_per_step, steps)
    each = plan.total / steps
    share = config.controls.rl_share or each / (each + config.rl.prompts_per_step)
    sft_steps = math.ceil(plan.total / config.controls.sft_pairs_per_step) if config.objective == "da_sft" else 0
    seen = {
        "grpo": 0,
        "contextrl": plan.total,
        "da_sft": sft_steps * config.controls.sft_pairs_per_step,
        "da_rl": choices_beside(tasks, share),
    }
    return Budget(steps, sft_steps, plan, seen[config.objective], share)
