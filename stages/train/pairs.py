"""Pairs as the trainer reads them: an exported dataset, checked, rendered, and without those that are too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.train.config import PairsConfig
from contextrl_data.stages.train.lengths import Ruler
from contextrl_data.stages.train.options import Options, chat_prefix
from contextrl_data.stages.train.pictures import as_pictures, opened
from contextrl_data.stages.train.prompt import conversation, fill, transcript
from contextrl_data.stages.train.sources import load_split

TEXT_COLUMNS = {"id", "question", "answer", "context_pos", "context_neg"}
PICTURES = ("image_pos", "image_neg")
IMAGE_COLUMNS = {"id", "question", "answer", *PICTURES}


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
        if wanted == IMAGE_COLUMNS:
            for column in PICTURES:
                rows = as_pictures(rows, column, config.dataset)
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
        """Keep the pairs whose choice prompt, with its images, fits `max_tokens`.

        Raises:
            InputError: none fits, or a picture cannot be read.
        """
        ruler = Ruler(processor, self.config.max_tokens - 1)  # with room for the answer
        rows = self.rows
        for column in PICTURES if self.has_images else ():
            rows = as_pictures(rows, column, self.name, decode=False)
        kept = [i for i in self.kept if self._fits(rows[i], ruler)]
        self.too_long += len(self.kept) - len(kept)
        if not kept:
            raise InputError(
                f"all {len(self.kept)} pairs of {self.name} are longer than {self.config.max_tokens} tokens",
                "raise pairs.max_tokens (the model's context allowing), or build shorter pairs",
            )
        self.kept = kept

    def _fits(self, row: dict[str, Any], ruler: Ruler) -> bool:
        if self.has_images:
            row = {**row, **{name: opened(row[name], f"pair {row['id']} of {self.name}") for name in PICTURES}}
        messages, images = choice_conversation(row, self.config, flipped=False)
        text = chat_prefix(ruler.processor, messages, self.config.template_options, self.config.answer_prefix)
        return ruler.fits(text, images)


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
