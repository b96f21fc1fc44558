"""SWE-smith's published runs: `messages` as a JSON string; the splits `tool`, `xml` and `ticks` are the same runs."""

from __future__ import annotations

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.found import Found, patch_of, text_of, truth_of
from contextrl_data.stages.coding.readers.messages import normal_messages

NAME = "swe-smith"


def matches(columns: frozenset[str]) -> bool:
    """Whether rows with these columns are this format."""
    return {"messages", "instance_id", "traj_id", "patch", "resolved"} <= columns


def read(raw: Row, max_chars: int) -> Found:
    """One run; `traj_id` names it in every split."""
    return Found(
        messages=normal_messages(raw.get("messages"), max_chars),
        instance_id=text_of(raw.get("instance_id")),
        traj_id=text_of(raw.get("traj_id")),
        patch=patch_of(raw.get("patch")),
        resolved=truth_of(raw.get("resolved")),
        model=text_of(raw.get("model")),
    )
