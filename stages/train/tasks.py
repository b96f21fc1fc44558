"""The RL tasks as TRL reads them: `prompt` (messages), `answer`, `reward` (the kind) and, for VLMs, `images`."""

from __future__ import annotations

from typing import Any

from contextrl_data.pipeline.errors import InputError, first_line
from contextrl_data.stages.train.config import PairsConfig, TasksConfig, TrainConfig
from contextrl_data.stages.train.lengths import Ruler
from contextrl_data.stages.train.options import chat_prefix
from contextrl_data.stages.train.pairs import Pairs, choice_conversation
from contextrl_data.stages.train.pictures import as_pictures, opened
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

    if column := image_column(rows):
        rows = as_pictures(rows, column, config.dataset)
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


def as_messages(prompt: Any, suffix: str) -> list[dict[str, Any]]:
    """A prompt as messages, with a suffix on the last one."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(m) for m in prompt]
    if suffix:
        last: dict[str, Any] = messages[-1]
        if isinstance(last["content"], str):
            last["content"] += "\n" + suffix
        else:
            last["content"] = [*last["content"], {"type": "text", "text": "\n" + suffix}]
    return messages


def drop_long_prompts(tasks: Any, processor: Any, limit: int, config: TasksConfig, split: str) -> Any:
    """TRL never cuts a prompt, so one that is longer than `limit` tokens, with its images, is dropped here.

    Raises:
        InputError: none is left, or the images of a task cannot be trained on.
    """
    ruler = Ruler(processor, limit)
    shown, column = _images_of(tasks, config)
    kept: list[int] = []
    bare = 0
    for place, row in enumerate(shown):
        where = f"task {place} in {split!r} of {config.dataset}"
        images = [opened(each, where) for each in _listed(row[column])] if column else []
        bare += not images
        messages = _placed(row["prompt"], images, where) if images else row["prompt"]
        if ruler.fits(chat_prefix(processor, messages, config.template_options), images):
            kept.append(place)
    if column and 0 < bare < len(tasks):
        raise InputError(
            f"{bare} of {len(tasks)} tasks of {config.dataset} have no image, and TRL takes no batch of both kinds",
            "give tasks with images alone, or tasks without any",
        )
    if not kept:
        raise InputError(
            f"all {len(tasks)} tasks in {split!r} of {config.dataset} are longer than {limit} tokens",
            "raise rl.max_prompt_tokens, or show less in each: `contextrl-data tasks --show symbol`",
        )
    return tasks if len(kept) == len(tasks) else tasks.select(kept)


def image_column(tasks: Any) -> str | None:
    """The column of the tasks' images, the one that TRL takes; None without."""
    return next((name for name in ("images", "image") if name in tasks.column_names), None)


def _images_of(tasks: Any, config: TasksConfig) -> tuple[Any, str | None]:
    """The prompts with what holds their images, not decoded, and the name of that column."""
    column = image_column(tasks)
    if column is None:
        return tasks.select_columns(["prompt"]), None
    return as_pictures(tasks.select_columns(["prompt", column]), column, config.dataset, decode=False), column


def _listed(images: Any) -> list[Any]:
    return images if isinstance(images, list) else [] if images is None else [images]


def _placed(prompt: Any, images: list[Any], where: str) -> Any:
    """A prompt with its images where TRL puts them."""
    from trl.data_utils import prepare_multimodal_messages

    try:
        return prepare_multimodal_messages(prompt, images=images)
    except ValueError as error:
        raise InputError(
            f"{where} cannot be shown: {first_line(error)}",
            "give a prompt as text, or with as many parts {type: image} as there are images",
        ) from error


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
        if image_column(tasks) == "image":  # TRL reads one of the two columns
            tasks = tasks.map(
                lambda row: {"images": [row["image"]]}, remove_columns=["image"], load_from_cache_file=False
            )
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
