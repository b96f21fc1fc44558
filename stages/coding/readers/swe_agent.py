"""SWE-agent's own `.traj`: `trajectory`, `history`, `info`, and the replay configuration of newer versions."""

from __future__ import annotations

import re
from typing import Any

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.decode import loads
from contextrl_data.stages.coding.readers.found import (
    Found,
    Message,
    Unusable,
    mapping_of,
    patch_of,
    text_of,
    truth_of,
)
from contextrl_data.stages.coding.readers.messages import joined, normal_messages

NAME = "swe-agent"
_INSTANCE = re.compile(r"^[\w.-]+__[\w.-]+-\d+$")


def matches(columns: frozenset[str]) -> bool:
    """Whether rows with these columns are this format."""
    return {"trajectory", "history"} <= columns or {"trajectory", "info"} <= columns


def read(raw: Row, max_chars: int) -> Found:
    """One run, from its history where there is one (it holds the issue), else from its steps."""
    info = mapping_of(raw.get("info"))
    replay = _replay(raw.get("replay_config"))
    agent = mapping_of(replay.get("agent"))
    repo = mapping_of(mapping_of(replay.get("env")).get("repo"))
    name = text_of(agent.get("name"))
    messages = (
        normal_messages(raw["history"], max_chars) if raw.get("history") else _steps(raw.get("trajectory"), max_chars)
    )
    return Found(
        messages=messages,
        instance_id=text_of(raw.get("instance_id")) or (name if _INSTANCE.match(name) else ""),
        patch=patch_of(info.get("submission")),
        resolved=truth_of(raw.get("resolved")),
        commit=text_of(repo.get("base_commit")),
        exit_status=text_of(info.get("exit_status")) or None,
        model=text_of(mapping_of(agent.get("model")).get("name")),
    )


def _replay(value: Any) -> dict[str, Any]:
    """The configuration is JSON inside JSON; a run without a sound one is still a run."""
    if not isinstance(value, str):
        return mapping_of(value)
    try:
        return mapping_of(loads(value))
    except Unusable:
        return {}


def _steps(value: Any, max_chars: int) -> list[Message]:
    if not isinstance(value, list) or not all(isinstance(step, dict) for step in value):
        raise Unusable("messages are not a list")
    messages: list[dict[str, Any]] = []
    for step in value:
        response, action = text_of(step.get("response")), text_of(step.get("action"))
        shown = response if action.strip() in response else joined(response, f"```\n{action.rstrip()}\n```")
        messages.append({"role": "assistant", "content": shown})
        messages.append({"role": "tool", "content": step.get("observation")})
    return list(normal_messages(messages, max_chars))
