"""mini-swe-agent: `.traj.json` of version 1 (text) and version 2 (tool calls, responses), or rows of them."""

from __future__ import annotations

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.found import Found, mapping_of, patch_of, text_of, truth_of
from contextrl_data.stages.coding.readers.messages import normal_messages

NAME = "mini-swe-agent"


def matches(columns: frozenset[str]) -> bool:
    """Whether rows with these columns are this format."""
    return {"messages", "info"} <= columns or {"messages", "trajectory_format"} <= columns


def read(raw: Row, max_chars: int) -> Found:
    """One run. The patch is the agent's own word (`submission`): nobody else took a diff."""
    info = mapping_of(raw.get("info"))
    model = mapping_of(mapping_of(info.get("config")).get("model"))
    return Found(
        messages=normal_messages(raw.get("messages"), max_chars),
        instance_id=text_of(raw.get("instance_id")),
        traj_id=text_of(raw.get("traj_id")),
        patch=patch_of(raw["patch"] if raw.get("patch") is not None else info.get("submission")),
        resolved=truth_of(raw.get("resolved")),
        exit_status=text_of(info.get("exit_status")) or None,
        model=text_of(raw.get("model")) or text_of(model.get("model_name")),
    )
