"""Nebius' SWE-agent rows: `trajectory` of {role, text, system_prompt}, `target`, `generated_patch`."""

from __future__ import annotations

from typing import Any

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.decode import loads
from contextrl_data.stages.coding.readers.found import Found, Unusable, patch_of, text_of, truth_of
from contextrl_data.stages.coding.readers.messages import normal_messages

NAME = "nebius"


def matches(columns: frozenset[str]) -> bool:
    """Whether rows with these columns are this format."""
    return "trajectory" in columns and bool({"target", "generated_patch"} & columns)


def read(raw: Row, max_chars: int) -> Found:
    """One run; the system prompt stands in a column of its own."""
    steps = raw.get("trajectory")
    if isinstance(steps, str):
        steps = loads(steps)
    if steps is not None and not isinstance(steps, list):
        raise Unusable("messages are not a list")
    return Found(
        messages=normal_messages(None if steps is None else [_message(step) for step in steps], max_chars),
        instance_id=text_of(raw.get("instance_id")),
        patch=patch_of(raw.get("generated_patch")),
        resolved=truth_of(raw.get("target")),
        exit_status=text_of(raw.get("exit_status")) or None,
        model=text_of(raw.get("model_name")),
    )


def _message(step: Any) -> Any:
    if not isinstance(step, dict):
        return step
    text = step.get("text")
    return {"role": step.get("role"), "content": step.get("system_prompt") if text is None else text}
