"""The RL tasks as TRL reads them: `prompt` (messages), `answer`, `reward` (the kind) and, for VLMs, `images`."""

from __future__ import annotations

from typing import Any

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.train.config import PairsConfig, TasksConfig, TrainConfig
from contextrl_data.stages.train.pairs import Pairs, choice_conversation
from contextrl_data.stages.train.rewards import CODE_REPAIR, SELECTION, columns_of
from contextrl_data.stages.train.sampler import PairStream
from contextrl_data.stages.train.sources import load_split


def load_tasks(config: TasksConfig, split: str, limit: int | None, setting: str = "split") -> Any:
    """One split of tasks in TRL's columns; other columns are handed on to the rewards.

    `setting` is where the split's name stands.

    Raises:
        InputError: no split, no rows, no prompts, or not the columns that a reward reads.
    """
    rows = load_split(config.dataset, split, "tasks", setting)
    columns = set(rows.column_names)
    source = "prompt" if "prompt" in columns else "question"
    if source not in columns:
        raise InputError(f"{config.dataset} has no column `prompt` or `question`", "rename the column with the task")
    _require_columns(config, columns - {source} | {"reward"})  # TRL keeps the prompt; the kind is always made
    if limit is not None:
        rows = rows.select(range(min(limit, len(rows))))

    def shaped(row: dict[str, Any]) -> dict[str, Any]:
        prompt = as_messages(row[source], config.suffix)
        out: dict[str, Any] = {"prompt": prompt, "reward": row.get("reward") or "auto"}
        if "answer" in row:
            out["answer"] = str(row["answer"])
        return out

    drop = ["question"] if source == "question" else []
    return rows.map(shaped, remove_columns=drop, load_from_cache_file=False, desc=None)


def _require_columns(config: TasksConfig, columns: set[str]) -> None:
    for name in config.rewards:
        missing = sorted(columns_of(name) - columns)
        if not missing:
            continue
        if columns >= {"shown", "task"}:
            remedy = f"these are tasks of code repair: --set tasks.rewards=[{CODE_REPAIR}]"
        elif "answer" in columns:
            remedy = "these are questions with answers: --set tasks.rewards=[qa]"
        else:
            remedy = "add them, or name a reward of your own in tasks.rewards"
        raise InputError(f"{config.dataset} lacks {', '.join(missing)}, which the reward {name} reads", remedy)


def as_messages(prompt: Any, suffix: str) -> list[dict[str, str]]:
    """A prompt as messages, with a suffix on the last one."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(m) for m in prompt]
    if suffix:
        messages[-1]["content"] += "\n" + suffix
    return messages


def drop_long_prompts(tasks: Any, processor: Any, limit: int, config: TasksConfig, split: str) -> Any:
    """TRL never cuts a prompt, so one that is longer than `limit` tokens is dropped here.

    Raises:
        InputError: none is left.
    """
    tokenizer = getattr(processor, "tokenizer", processor)

    def fits(prompt: Any) -> bool:
        text = tokenizer.apply_chat_template(
            prompt, tokenize=False, add_generation_prompt=True, **config.template_options
        )
        return len(text.encode()) <= limit or len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= limit

    kept = [i for i, prompt in enumerate(tasks["prompt"]) if fits(prompt)]
    if not kept:
        raise InputError(
            f"all {len(tasks)} tasks in {split!r} of {config.dataset} are longer than {limit} tokens",
            "raise rl.max_prompt_tokens, or show less in each: `contextrl-data tasks --show symbol`",
        )
    return tasks if len(kept) == len(tasks) else tasks.select(kept)


def choices_beside(tasks: int, share: float) -> int:
    """How many choice prompts are `share` of the whole beside so many tasks."""
    return max(1, round(tasks * share / (1 - share)))


def mixed_with_choices(tasks: Any, pairs: Pairs, share: float, config: TrainConfig) -> Any:
    """DA-RL: the tasks, and choice prompts with a 0/1 reward in such a number that they are `share` of the whole.

    The pairs are taken from the same stream as `contextrl` takes them, with the same drawn orders.
    """
    from datasets import Dataset, concatenate_datasets

    stream = PairStream(pairs.ids, config.seed)
    rows = []
    for position in range(choices_beside(len(tasks), share)):
        draw = stream.at(position)
        messages, images = choice_task(pairs[draw.index], config.pairs, flipped=draw.flipped)
        row: dict[str, Any] = {"prompt": messages, "answer": config.pairs.labels[draw.flipped], "reward": SELECTION}
        rows.append(row | {"images": images} if images else row)
    choices = Dataset.from_list(rows)
    if pairs.has_images:
        if "images" not in tasks.column_names:
            tasks = tasks.add_column("images", [[] for _ in range(len(tasks))])
        tasks = tasks.cast_column("images", choices.features["images"])
    return concatenate_datasets([tasks, choices])


def choice_task(row: dict[str, Any], config: PairsConfig, *, flipped: bool) -> tuple[list[dict[str, Any]], list[Any]]:
    """A choice as an RL task. TRL puts images before a plain prompt, so the text refers to them by their place."""
    if "image_pos" not in row:
        return choice_conversation(row, config, flipped=flipped)
    images = [row["image_pos"], row["image_neg"]]
    named = {**row, "context_pos": "the first image", "context_neg": "the second image"}
    if flipped:
        images.reverse()
        named |= {"context_pos": "the second image", "context_neg": "the first image"}
    del named["image_pos"], named["image_neg"]
    messages, _ = choice_conversation(named, config, flipped=flipped)
    return messages, images
