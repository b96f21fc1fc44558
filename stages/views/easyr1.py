"""EasyR1: `problem` as one text with a mark for each image, `answer`, `images`."""

from __future__ import annotations

import pyarrow as pa

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.task import Task
from contextrl_data.stages.views.view import IMAGES, Columns, View


def easyr1_row(task: Task) -> Row:
    """A task as EasyR1 reads it, with `data.prompt_key=problem`."""
    return {"id": task.id, "problem": task.marked, "answer": task.answer, "images": list(task.images)}


_TEXT: Columns = [("id", pa.string()), ("problem", pa.string()), ("answer", pa.string())]

# A text set has no column `images` at all: EasyR1 takes a row that has one to its image processor, empty or not.
EASYR1 = View(
    name="easyr1", about="EasyR1's RLHFDataset", row=easyr1_row, text=_TEXT, image=[*_TEXT, ("images", IMAGES)]
)
