"""TRL: a conversational `prompt`, and `images` as a list of pictures; other columns reach the reward functions.

GRPOTrainer puts the images of a row before the text of a plain message, so the text names them by their place. The
column `reward` is how this package's own `train` compares answers (`choice`, or `auto`).
"""

from __future__ import annotations

import pyarrow as pa

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.task import Task
from contextrl_data.stages.views.view import IMAGES, MESSAGES, Columns, View, user


def trl_row(task: Task) -> Row:
    """A task as TRL reads it."""
    return {
        "id": task.id,
        "pair_id": task.pair_id,
        "kind": task.kind,
        "domain": task.domain,
        "prompt": user(task.text),
        "images": list(task.images),
        "answer": task.answer,
        "reward": "choice" if task.kind == "choice" else "auto",
    }


_TEXT: Columns = [
    ("id", pa.string()),
    ("pair_id", pa.string()),
    ("kind", pa.string()),
    ("domain", pa.string()),
    ("prompt", MESSAGES),
    ("answer", pa.string()),
    ("reward", pa.string()),
]

FILE = "data/{split}-00000-of-00001.parquet"
"""The name by which `load_dataset(FOLDER)` finds every split, `probe` too."""

TRL = View(
    name="trl",
    about="TRL's GRPOTrainer, and `contextrl-data train` as tasks",
    row=trl_row,
    text=_TEXT,
    image=[*_TEXT, ("images", IMAGES)],
    text_file=FILE,
    image_file=FILE,
    decode=True,
)
