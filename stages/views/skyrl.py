"""SkyRL: `prompt`, the `env_class` that judges the reply, and what that environment is given (`reward_spec`, ...).

SkyRL's PromptDataset reads text alone, so image pairs have no such view. The environment is
`contextrl_data.stages.views.skyrl_environment`.
"""

from __future__ import annotations

import pyarrow as pa

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.task import Task
from contextrl_data.stages.views.verl import EXTRA_INFO, data_source, extra_info
from contextrl_data.stages.views.view import MESSAGES, View, user

ENVIRONMENT = "context_choice"


def skyrl_row(task: Task) -> Row:
    """A task as SkyRL's PromptDataset reads it."""
    return {
        "data_source": data_source(task),
        "prompt": user(task.text),
        "env_class": ENVIRONMENT,
        "reward_spec": {"method": "rule", "ground_truth": task.answer},
        "extra_info": extra_info(task),
    }


SKYRL = View(
    name="skyrl",
    about="SkyRL's PromptDataset",
    row=skyrl_row,
    text=[
        ("data_source", pa.string()),
        ("prompt", MESSAGES),
        ("env_class", pa.string()),
        ("reward_spec", pa.struct([("method", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", EXTRA_INFO),
    ],
    image=None,
)
