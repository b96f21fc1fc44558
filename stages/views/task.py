"""A row of a dataset as a task with one checkable answer: what every view is made of, whatever its columns are called.

`choice`  question, answer and two contexts or images as options A and B; the answer is the letter of the right one.
`qa`      an image pair's question about its right image alone; the answer is the pair's own.

The options stand in the order on record (`correct_first`), so that every view asks the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.prompt import INSTRUCTION, asked, choice_prompt, correct_option, image_choice_prompt
from contextrl_data.stages.prompt import option_images as images_in_order

Kind = Literal["choice", "qa"]
Tasks = Literal["choice", "qa", "both"]
"""Which tasks a view holds."""

TEXT_COLUMNS = ("id", "question", "answer", "context_pos", "context_neg", "correct_first")
IMAGE_COLUMNS = ("id", "question", "answer", "image_pos", "image_neg", "correct_first")

_MARKS = re.compile(r"<(image|video|audio)>")


@dataclass(frozen=True)
class Task:
    """One prompt with one right answer."""

    id: str
    pair_id: str
    kind: Kind
    domain: str
    split: str
    index: int
    """Place in its split, from 0."""
    text: str
    """The prompt, its images apart; they stand before it."""
    instruction: str
    """Its last line, where that is one of its own ("Output A or B directly."); else ""."""
    images: tuple[Row, ...]
    """`{"bytes", "path"}` each, the bytes as they are in the dataset; none for a text pair."""
    answer: str

    @property
    def marked(self) -> str:
        """The prompt with an `<image>` for each image, as loaders want it that put images where the mark stands."""
        return "<image>" * len(self.images) + self.text


def tasks_of(row: Row, split: str, wanted: Tasks) -> list[Task]:
    """The tasks that a row of pairs gives, in the order choice, qa; `index` is for the caller to set.

    Raises:
        InputError: a value is missing that the tasks are made of.
    """
    _check(row)
    kinds: tuple[Kind, ...] = ("choice", "qa") if wanted == "both" else (wanted,)
    return [_choice(row, split) if kind == "choice" else _qa(row, split) for kind in kinds]


def _choice(row: Row, split: str) -> Task:
    images: list[Any] = images_in_order(row) if "image_pos" in row else []
    text = _unmarked(image_choice_prompt(row)) if images else choice_prompt(row)
    return _task(row, split, "choice", text, INSTRUCTION, images, correct_option(row["correct_first"]))


def _qa(row: Row, split: str) -> Task:
    return _task(row, split, "qa", _unmarked(asked(row)), "", [row["image_pos"]], row["answer"])


def _task(row: Row, split: str, kind: Kind, text: str, instruction: str, images: list[Any], answer: str) -> Task:
    return Task(
        id=f"{row['id']}-{kind}",
        pair_id=row.get("pair_id") or row["id"],
        kind=kind,
        domain=row.get("domain") or "",
        split=split,
        index=0,
        text=text,
        instruction=instruction,
        images=tuple({"bytes": image["bytes"], "path": image.get("path")} for image in images),
        answer=answer,
    )


def _unmarked(text: str) -> str:
    """Text beside images, without marks that a loader would take for one more image: `<image>` becomes `[image]`."""
    return _MARKS.sub(r"[\1]", text)


def _check(row: Row) -> None:
    columns = IMAGE_COLUMNS if "image_pos" in row else TEXT_COLUMNS
    missing = [name for name in columns if row[name] is None]
    missing += [name for name in columns if name.startswith("image_") and not (row[name] or {}).get("bytes")]
    if missing:
        raise InputError(f"row {row['id']!r} has no {missing[0]}", "mend or drop that row, and export again")
