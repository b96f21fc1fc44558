"""From settings to a trainer that is ready: everything that can be wrong is found here, before the first step."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.train.arguments import (
    choose_backward,
    grpo_arguments,
    require_engine,
    total_steps,
    world_size,
)
from contextrl_data.stages.train.config import ContrastConfig, TrainConfig
from contextrl_data.stages.train.models import load_model, load_processor, require_length, sees_images
from contextrl_data.stages.train.options import find_options, require_chat_template
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs
from contextrl_data.stages.train.rewards import find_function, find_reward, not_on_choices, selection_reward
from contextrl_data.stages.train.sampler import Plan
from contextrl_data.stages.train.tasks import choices_beside, drop_long_prompts, load_tasks, mixed_with_choices

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


@dataclass
class Data:
    """The data of a run, checked against the model's tokenizer."""

    processor: Any
    tasks: Any
    eval_tasks: Any
    pairs: Pairs | None = None
    eval_pairs: Pairs | None = None
    collator: ChoiceCollator | None = None
    dropped_tasks: int = 0


def load_data(config: TrainConfig) -> Data:
    """Read and check pairs and tasks.

    Raises:
        UserError: whatever is wrong with them.
    """
    processor = load_processor(config.model, config.pairs, config.processor)
    require_chat_template(processor, config.model)
    t = config.tasks
    every = load_tasks(t, t.split, t.limit)
    tasks = drop_long_prompts(every, processor, config.rl.max_prompt_tokens, t, t.split)
    eval_tasks = load_tasks(t, t.eval_split, t.eval_limit, "eval_split") if t.eval_split else None
    if eval_tasks is not None:
        eval_tasks = drop_long_prompts(eval_tasks, processor, config.rl.max_prompt_tokens, t, t.eval_split)
    data = Data(processor, tasks, eval_tasks, dropped_tasks=len(every) - len(tasks))
    if config.pairs.dataset or config.uses_pairs:
        data.pairs = Pairs.load(config.pairs, config.pairs.split, config.pairs.limit)
        _require_images(data.pairs.has_images, config)
        require_length(config.model, processor, config.pairs)
        options = find_options(
            processor, config.pairs.labels, config.pairs.template_options, config.pairs.answer_prefix
        )
        data.collator = ChoiceCollator(processor, config.pairs, options)
        if config.uses_pairs:
            data.pairs.drop_too_long(processor)
        if config.pairs.eval_split:
            data.eval_pairs = Pairs.load(config.pairs, config.pairs.eval_split, config.pairs.eval_limit, "eval_split")
            data.eval_pairs.drop_too_long(processor)
    _require_images("images" in tasks.column_names or "image" in tasks.column_names, config)
    return data


def what_fits(config: TrainConfig, data: Data) -> list[tuple[str, str]]:
    """How many tasks and pairs are short enough to be trained on: (`tasks` or `pairs`, words)."""

    def counted(what: str, kept: int, dropped: int, limit: int, setting: str) -> tuple[str, str]:
        return what, f"{kept} of {kept + dropped} {what} fit {limit} tokens" + (f" ({setting})" if dropped else "")

    found = [counted("tasks", len(data.tasks), data.dropped_tasks, config.rl.max_prompt_tokens, "rl.max_prompt_tokens")]
    if data.pairs is not None and config.uses_pairs:
        found.append(
            counted("pairs", len(data.pairs), data.pairs.too_long, config.pairs.max_tokens, "pairs.max_tokens")
        )
    return found


def _require_images(images: bool, config: TrainConfig) -> None:
    from transformers import AutoConfig

    if images and not sees_images(AutoConfig.from_pretrained(config.model)):
        raise InputError(
            f"the data holds images, and {config.model} reads text only", "give a vision-language model as model"
        )


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


def assemble(config: TrainConfig) -> Assembly:
    """Build the trainer of a run."""
    from contextrl_data.stages.train.trainer import ContextRLTrainer

    require_engine(config.engine)
    data = load_data(config)
    budget = budget_of(config, len(data.tasks))
    term = None
    tasks, rewards = data.tasks, [find_function(name) for name in config.tasks.rewards]
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
        backward=choose_way(config, data, tasks),
        sft_steps=budget.sft_steps,
        model=load_model(config.model, config.engine),  # after the arguments: ZeRO-3 must know before it loads
        reward_funcs=rewards or None,
        args=arguments,
        train_dataset=tasks,
        processing_class=data.processor,
        peft_config=_lora(config),
        environment_factory=find_environment(config, data.processor),
    )
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


def choose_way(config: TrainConfig, data: Data, tasks: Any) -> str:
    """`joint` or `separate` backward for this data.

    Raises:
        ConfigError: a combination that gives wrong gradients, or an error.
    """
    pair_images = data.pairs.has_images if data.pairs else False
    task_images = "images" in tasks.column_names or "image" in tasks.column_names
    vlm = hasattr(data.processor, "tokenizer")
    if config.objective != "contextrl":
        return "separate"
    return choose_backward(config, pair_images, task_images, vlm, world_size())


def _lora(config: TrainConfig) -> Any:
    rank = config.engine.lora_rank
    if not rank:
        return None
    from peft import LoraConfig

    alpha = config.engine.lora_alpha or 2 * rank
    return LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM")


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
