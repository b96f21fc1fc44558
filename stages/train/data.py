"""The data of a run: pairs and tasks, read and checked against the model that is to be trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.models import adapter_base, config_of, load_processor, require_length, sees_images
from contextrl_data.stages.train.options import find_options, require_chat_template
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs
from contextrl_data.stages.train.tasks import drop_long_prompts, image_column, load_tasks


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

    @property
    def sees(self) -> bool:
        """Whether the model is a vision-language model."""
        return hasattr(self.processor, "tokenizer")

    @property
    def tasks_have_images(self) -> bool:
        """Whether the tasks show images; then all of them do."""
        return image_column(self.tasks) is not None


def load_data(config: TrainConfig) -> Data:
    """Read and check pairs and tasks.

    Raises:
        UserError: whatever is wrong with them.
    """
    if base := adapter_base(config.model):
        raise ConfigError(
            f"{config.model} is a LoRA adapter of {base}, and training begins with a whole model",
            "merge it first (peft: `merge_and_unload`), or set model to the base",
        )
    processor = load_processor(config.model, config.pairs, config.processor)
    require_chat_template(processor, config.model)
    data = _load_tasks(config, processor)
    if config.pairs.dataset or config.uses_pairs:
        _load_pairs(config, data)
    if config.objective == "da_rl" and data.pairs and data.pairs.has_images != data.tasks_have_images:
        raise ConfigError(
            "objective da_rl mixes pairs and tasks, of which only one has images, and TRL takes no batch of both kinds",
            "give both with images or both without, or use grpo, contextrl or da_sft",
        )
    return data


def _load_tasks(config: TrainConfig, processor: Any) -> Data:
    t, limit = config.tasks, config.rl.max_prompt_tokens
    every = load_tasks(t, t.split, t.limit)
    _require_images(image_column(every) is not None, config)
    tasks = drop_long_prompts(every, processor, limit, t, t.split)
    eval_tasks = None
    if t.eval_split:
        eval_tasks = load_tasks(t, t.eval_split, t.eval_limit, "eval_split")
        eval_tasks = drop_long_prompts(eval_tasks, processor, limit, t, t.eval_split)
    return Data(processor, tasks, eval_tasks, dropped_tasks=len(every) - len(tasks))


def _load_pairs(config: TrainConfig, data: Data) -> None:
    p = config.pairs
    data.pairs = Pairs.load(p, p.split, p.limit)
    _require_images(data.pairs.has_images, config)
    require_length(config.model, data.processor, p)
    options = find_options(data.processor, p.labels, p.template_options, p.answer_prefix)
    data.collator = ChoiceCollator(data.processor, p, options)
    if config.uses_pairs:
        data.pairs.drop_too_long(data.processor)
    if p.eval_split:
        data.eval_pairs = Pairs.load(p, p.eval_split, p.eval_limit, "eval_split")
        data.eval_pairs.drop_too_long(data.processor)


def _require_images(images: bool, config: TrainConfig) -> None:
    if images and not sees_images(config_of(config.model)):
        raise InputError(
            f"the data holds images, and {config.model} reads text only", "give a vision-language model as model"
        )


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
