"""From settings to a trainer that is ready: everything that can be wrong is found here, before the first step."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.train.arguments import choose_backward, grpo_arguments, require_engine, world_size
from contextrl_data.stages.train.budget import budget_of
from contextrl_data.stages.train.config import ContrastConfig, TrainConfig
from contextrl_data.stages.train.data import Data, load_data, what_fits
from contextrl_data.stages.train.faults import guarded
from contextrl_data.stages.train.models import VISION, load_model
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs
from contextrl_data.stages.train.rewards import find_function, find_reward, not_on_choices, selection_reward
from contextrl_data.stages.train.sampler import Plan
from contextrl_data.stages.train.tasks import mixed_with_choices

if TYPE_CHECKING:
    from contextrl_data.stages.train.trainer import ContextRLTrainer


@dataclass
class Assembly:
    """A trainer, and what it is measured on."""

    trainer: ContextRLTrainer
    collator: ChoiceCollator | None
    eval_pairs: Pairs | None
    eval_tasks: Any
    dropped_pairs: int
    dropped_tasks: int
    steps: int
    fits: list[tuple[str, str]]
    """What of the data is short enough, in words, by name."""


def assemble(config: TrainConfig) -> Assembly:
    """Build the trainer of a run."""
    from transformers import PrinterCallback

    from contextrl_data.stages.train.trainer import ContextRLTrainer

    require_engine(config.engine)
    data = load_data(config)
    budget = budget_of(config, len(data.tasks))
    term = None
    tasks, rewards = data.tasks, [guarded(name, find_function(name)) for name in config.tasks.rewards]
    weights = config.tasks.reward_weights
    if config.objective == "contextrl":
        term = _term(config, data, budget.plan, "ca")
    elif config.objective == "da_sft":
        counts = ContrastConfig(
            pairs_per_step=config.controls.sft_pairs_per_step, pairs_per_forward=config.contrast.pairs_per_forward
        )
        term = _term(config, data, Plan(counts, config.rl.prompts_per_step, budget.sft_steps), "sft")
    elif config.objective == "da_rl":
        assert data.pairs is not None
        tasks = mixed_with_choices(tasks, data.pairs, budget.share, config)
        rewards = [*map(not_on_choices, rewards), selection_reward(config.pairs.labels)]
        weights = None if weights is None else [*weights, 1.0]
    steps = budget.rl_steps + budget.sft_steps
    arguments = grpo_arguments(config, steps, config.output)
    arguments.reward_weights = weights
    if config.engine.deepspeed is not None:
        _begin_deepspeed()
    trainer = ContextRLTrainer(
        config=config,
        term=term,
        backward=choose_way(config, data),
        sft_steps=budget.sft_steps,
        model=load_model(config.model, config.engine),  # after the arguments: ZeRO-3 must know before it loads
        reward_funcs=rewards or None,
        args=arguments,
        train_dataset=tasks,
        processing_class=data.processor,
        peft_config=_lora(config, data.sees),
        environment_factory=find_environment(config, data.processor),
    )
    trainer.remove_callback(PrinterCallback)  # a run has lines of its own, and a measurement has its table
    too_long = data.pairs.too_long if data.pairs else 0
    return Assembly(
        trainer,
        data.collator,
        data.eval_pairs,
        data.eval_tasks,
        too_long,
        data.dropped_tasks,
        steps,
        what_fits(config, data),
    )


def _begin_deepspeed() -> None:
    """Tell DeepSpeed of the processes, which accelerate has already started: ZeRO-3 divides the model as it loads."""
    import deepspeed

    deepspeed.init_distributed(verbose=False)


def _term(config: TrainConfig, data: Data, plan: Plan, kind: Any) -> Any:
    from contextrl_data.stages.train.contrast import ContrastTerm

    assert data.pairs is not None
    assert data.collator is not None
    return ContrastTerm(data.pairs, data.collator, config.contrast, plan, config.seed, kind)


def choose_way(config: TrainConfig, data: Data) -> str:
    """`joint` or `separate` backward for this data.

    Raises:
        ConfigError: a combination that gives wrong gradients, or an error.
    """
    pair_images = data.pairs.has_images if data.pairs else False
    if config.objective != "contextrl":
        return "separate"
    return choose_backward(config, pair_images, data.tasks_have_images, data.sees, world_size())


def _lora(config: TrainConfig, sees: bool) -> Any:
    rank = config.engine.lora_rank
    if not rank:
        return None
    from peft import LoraConfig

    alpha = config.engine.lora_alpha or 2 * rank
    # Adapters in the vision tower would move what is frozen.
    still = rf"(.*\.)?({'|'.join(VISION)})\..*" if sees and config.engine.freeze_vision else None
    return LoraConfig(
        r=rank, lora_alpha=alpha, target_modules="all-linear", exclude_modules=still, task_type="CAUSAL_LM"
    )


def find_environment(config: TrainConfig, processor: Any) -> Any:
    """The environment factory by its import path; None without one.

    Raises:
        UserError: it cannot be imported, or does not go with the objective or with the model's chat template.
    """
    name = config.tasks.environment
    if not name:
        return None
    if config.objective == "da_rl":
        raise ConfigError("objective da_rl has no environment for its choice tasks", "use grpo, contextrl or da_sft")
    from trl.chat_template_utils import supports_tool_calling

    if not supports_tool_calling(processor):
        raise InputError(
            f"the chat template of {config.model} cannot show tool calls, and tasks.environment needs them",
            "give a model that was taught to call tools",
        )
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # docs/training.md says it; TRL would warn in every run
    return find_reward(name)
