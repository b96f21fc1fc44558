"""verl: `data_source`, `prompt`, `ability`, `reward_model`, `extra_info`, and `images` at the marks in the prompt."""

from __future__ import annotations

import pyarrow as pa

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.task import Task
from contextrl_data.stages.views.view import IMAGES, MESSAGES, Columns, View, user

SOURCE = "contextrl-data"
ABILITY = {"choice": "context_selection", "qa": "visual_question_answering"}

EXTRA_INFO = pa.struct(
    [
        ("split", pa.string()),
        ("index", pa.int64()),
        ("id", pa.string()),
        ("pair_id", pa.string()),
        ("kind", pa.string()),
        ("domain", pa.string()),
    ]
)


def data_source(task: Task) -> str:
    """Name under which a trainer reports the score: kind and domain, as in `contextrl-data/choice/coding`."""
    return "/".join(part for part in (SOURCE, task.kind, task.domain) if part)


def extra_info(task: Task) -> Row:
    """Where a row comes from."""
    return {name: getattr(task, name) for name in ("split", "index", "id", "pair_id", "kind", "domain")}


def verl_row(task: Task) -> Row:
    """A task as verl's RLHFDataset reads it."""
    return {
        "data_source": data_source(task),
        "prompt": user(task.marked),
        "images": list(task.images),
        "ability": ABILITY[task.kind],
        "reward_model": {"style": "rule", "ground_truth": task.answer},
        "extra_info": extra_info(task),
    }


_TEXT: Columns = [
    ("data_source", pa.string()),
    ("prompt", MESSAGES),
    ("ability", pa.string()),
    ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
    ("extra_info", EXTRA_INFO),
]

VERL = View(
    name="verl",
    about="verl's RLHFDataset",
    row=verl_row,
    text=_TEXT,
    image=[*_TEXT, ("images", IMAGES)],
)
