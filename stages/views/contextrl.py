"""The layouts in which the paper's authors released their data, without a column more: their files and these can be
read together.

Text pairs are JSON lines of `prompt`, the whole text, and `correct_answer`. Image pairs are `images`, `problem` and
`answer`; a row with two images is a choice, one with a single image an RL task, and both may stand in one file. Their
trainer ends each image choice with "Output A or B directly." itself, so the line is left out there.
"""

from __future__ import annotations

import pyarrow as pa

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.task import Task
from contextrl_data.stages.views.view import IMAGES, View


def contextrl_row(task: Task) -> Row:
    """A task in the authors' columns."""
    problem = task.marked.removesuffix(task.instruction).rstrip("\n") if task.instruction else task.marked
    return {
        "prompt": task.text,
        "correct_answer": task.answer,
        "images": list(task.images),
        "problem": problem,
        "answer": task.answer,
    }


CONTEXTRL = View(
    name="contextrl",
    about="the trainers that the paper's authors released",
    row=contextrl_row,
    text=[("prompt", pa.string()), ("correct_answer", pa.string())],
    image=[("images", IMAGES), ("problem", pa.string()), ("answer", pa.string())],
    text_file="{split}.jsonl",
)
