"""Pairs as the trainer reads them: an exported dataset, checked, rendered, and without those that are too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.train.config import PairsConfig
from contextrl_data.stages.train.options import Options, chat_prefix
from contextrl_data.stages.train.prompt import conversation, fill, transcript
from contextrl_data.stages.train.sources import load_split

TEXT_COLUMNS = {"id", "question", "answer", "context_pos", "context_neg"}
IMAGE_COLUMNS = {"id", "question", "answer", "image_pos", "image_neg"}


@dataclass
class Pairs:
    """A split of pairs. Rows are read when they are asked for."""

    rows: Any
    config: PairsConfig
    name: str
    kept: list[int] = field(default_factory=list)
    too_long: int = 0

    def __post_init__(self) -> None:
        if not self.kept:
            self.kept = list(range(len(self.rows)))

    @classmethod
    def load(cls, config: PairsConfig, split: str, limit: int | None, setting: str = "split") -> Pairs:
        """Read a split and check its columns. `setting` is where the split's name stands.

        Raises:
            InputError: no split, no rows, or not the columns of pairs.
        """
        rows = load_split(config.dataset, split, "pairs", setting)
        columns = set(rows.column_names)
        wanted = IMAGE_COLUMNS if "image_pos" in columns else TEXT_COLUMNS
        if missing := sorted(wanted - columns):
            raise InputError(
                f"{config.dataset} lacks the columns {', '.join(missing)} of a dataset of pairs",
                "give a dataset exported by `contextrl-data build`",
            )
        return cls(rows if limit is None else rows.select(range(min(limit, len(rows)))), config, config.dataset)

    @property
    def has_images(self) -> bool:
        """Image pairs, or text pairs."""
        return "image_pos" in self.rows.column_names

    @property
    def ids(self) -> list[str]:
        """Ids of the pairs that are used."""
        every = self.rows["id"]
        return [str(every[i]) for i in self.kept]

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, place: int) -> dict[str, Any]:
        row: dict[str, Any] = self.rows[self.kept[place]]
        return row

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    def drop_too_long(self, processor: Any) -> None:
        """Keep the pairs whose choice prompt fits `max_tokens`.

        Image prompts are measured with their images, since those are most of the prompt.

        Raises:
            InputError: none fits.
        """
        kept = [i for i in self.kept if self._fits(self.rows[i], processor)]
        self.too_long += len(self.kept) - len(kept)
        if not kept:
            raise InputError(
                f"all {len(self.kept)} pairs of {self.name} are longer than {self.config.max_tokens} tokens",
                "raise pairs.max_tokens (the model's context allowing), or build shorter pairs",
            )
        self.kept = kept

    def _fits(self, row: dict[str, Any], processor: Any) -> bool:
        limit = self.config.max_tokens
        tokenizer = getattr(processor, "tokenizer", processor)
        messages, images = choice_conversation(row, self.config, flipped=False)
        text = chat_prefix(processor, messages, self.config.template_options, self.config.answer_prefix)
        if not images and len(text.encode()) < limit:  # a token is at least one byte
            return True
        if images:
            encoded = processor(text=[text], images=[images], add_special_tokens=False)
            return len(encoded["input_ids"][0]) < limit
        return len(tokenizer(text, add_special_tokens=False)["input_ids"]) < limit


def choice_conversation(
    row: dict[str, Any], config: PairsConfig, *, flipped: bool
) -> tuple[list[dict[str, Any]], list[Any]]:
    """A pair as a conversation that asks for the supporting context, and its images."""
    kind = "image" if "image_pos" in row else "context"
    contexts = [row[f"{kind}_pos"], row[f"{kind}_neg"]]
    if kind == "context":
        contexts = [c if isinstance(c, str) else transcript(c) for c in contexts]
    if flipped:
        contexts.reverse()
    values = {
        "question": row["question"],
        "answer": row["answer"],
        "context_a": contexts[0],
        "context_b": contexts[1],
        "label_a": config.labels[0],
        "label_b": config.labels[1],
    }
    return conversation(fill(config.template, values))


class ChoiceCollator:
    """Pairs and the order of their options -> a left-padded batch of choice prompts."""

    def __init__(self, processor: Any, config: PairsConfig, options: Options) -> None:
        self.processor = processor
        self.config = config
        self.options = options

    def __call__(self, rows: Sequence[dict[str, Any]], flips: Sequence[bool], weights: Sequence[float]) -> Any:
        """Build the batch. Padding is on the left, so that the answer position is the last one for every row."""
        import torch

        from contextrl_data.stages.train.loss import ChoiceBatch

        texts, images = [], []
        for row, flipped in zip(rows, flips, strict=True):
            messages, pictures = choice_conversation(row, self.config, flipped=flipped)
            texts.append(chat_prefix(self.processor, messages, self.config.template_options, self.config.answer_prefix))
            images.append([picture.convert("RGB") for picture in pictures])
        how = {"padding": True, "padding_side": "left", "return_tensors": "pt", "add_special_tokens": False}
        if any(images):
            inputs = dict(self.processor(text=texts, images=images, **how))
        else:
            tokenizer = getattr(self.processor, "tokenizer", self.processor)
            inputs = dict(tokenizer(texts, **how))
        first, second = self.options.ids
        right = torch.tensor([second if flipped else first for flipped in flips])
        wrong = torch.tensor([first if flipped else second for flipped in flips])
        return ChoiceBatch(inputs, right, wrong, torch.tensor(weights, dtype=torch.float32))
