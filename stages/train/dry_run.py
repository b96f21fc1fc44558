"""`contextrl-data train --dry-run`: what a run checks before its first step, without weights or traces, and its plan.

Left out is `log.push_to` alone: a run makes that repository, which is no check.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.folder import RunFolder, run_key, step_of
from contextrl_data.stages.train.run import quieten, require_packages
from contextrl_data.stages.train.sources import settle

if TYPE_CHECKING:
    from contextrl_data.stages.train.budget import Budget
    from contextrl_data.stages.train.data import Data


def plan_run(config: TrainConfig, *, resume: bool = False) -> list[tuple[str, str]]:
    """Check output, model folder, tokenizer, data, rewards and engine; say what the run would do as (name, what) lines.

    Raises:
        UserError: whatever training would refuse.
    """
    require_packages()
    config, notes = settle(config)
    folder = RunFolder(config.output, main=False)
    checkpoint = folder.check(run_key(config), resume=resume)
    quieten()
    from contextrl_data.stages.train.arguments import accumulation, grpo_arguments, require_engine, world_size
    from contextrl_data.stages.train.assembly import choose_way, find_environment
    from contextrl_data.stages.train.budget import budget_of
    from contextrl_data.stages.train.data import load_data, what_fits
    from contextrl_data.stages.train.rewards import find_function

    require_engine(config.engine)
    data = load_data(config)
    budget = budget_of(config, len(data.tasks))
    for name in config.tasks.rewards:
        find_function(name)
    find_environment(config, data.processor)
    grpo_arguments(config, budget.rl_steps + budget.sft_steps, config.output)
    rl, steps, world = config.rl, budget.rl_steps, world_size()
    lines = [
        ("model", f"{config.model}, objective {config.objective}"),
        ("devices", f"{world} x {rl.sequences_per_device} sequences, {accumulation(rl, world)} micro-steps a step"),
        (
            "RL steps",
            f"{steps} x {rl.prompts_per_step} prompts x {rl.generations} completions = "
            f"{steps * rl.prompts_per_step * rl.generations:,} completions of up to {rl.max_completion_tokens} tokens; "
            f"{steps * rl.prompts_per_step / len(data.tasks):.2f} passes over {len(data.tasks)} tasks",
        ),
        *what_fits(config, data),
        *_pairs(config, data, budget),
        *(("note", note) for note in notes),
        ("checkpoints", f"every {config.log.save_every} of {steps + budget.sft_steps} steps, in {config.output}"),
    ]
    if config.objective == "contextrl":
        lines.insert(-1, ("backward", choose_way(config, data)))
    if folder.result():
        lines.append(("resume", "the run is finished: there is nothing to do"))
    elif checkpoint:
        lines.append(("resume", f"goes on after step {step_of(checkpoint)}"))
    return lines if int(os.environ.get("RANK", "0")) == 0 else []


def _pairs(config: TrainConfig, data: Data, budget: Budget) -> list[tuple[str, str]]:
    if data.pairs is None or data.collator is None or not config.uses_pairs:
        return []
    options = data.collator.options
    tokens = ", ".join(f"{text!r} = {token}" for text, token in zip(options.texts, options.ids, strict=True))
    passes = budget.pairs / len(data.pairs)
    plan, last = budget.plan, budget.rl_steps - 1
    if config.objective == "contextrl":
        count = " to ".join(dict.fromkeys(str(plan.pairs(step)) for step in (0, last)))
        weight = " to ".join(dict.fromkeys(f"{plan.weight(step):g}" for step in (0, last)))
        how = f"{count} pairs a step, lambda {weight}"
    elif config.objective == "da_sft":
        how = f"{budget.sft_steps} supervised steps of {config.controls.sft_pairs_per_step} pairs come first"
    else:
        how = f"{budget.share:.1%} of the prompts"
    return [("options", tokens), ("pairs seen", f"{budget.pairs:,}, {passes:.2f} passes; {how}")]
