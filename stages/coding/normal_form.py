"""mini-swe-agent's messages in our one form: a role and a text, with commands in fenced bash blocks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from contextrl_data.pipeline.stage import Row

_MINI_FENCE = "```mswea_bash_command"
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
SHORTEST_SECRET = 8


def normal_form(messages: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The messages without mini-swe-agent's own closing one; tool calls become fenced blocks in the text."""
    rows: list[Row] = []
    for message in messages:
        if message["role"] == "exit":
            continue
        text = _text(message.get("content")).replace(_MINI_FENCE, "```bash")
        for command in _commands(message):
            text = f"{text.rstrip()}\n\n{fenced(command)}".lstrip()
        rows.append({"role": message["role"], "content": redact(text)})
    return rows


def fenced(command: str) -> str:
    """The command in a bash block; the fence is longer where the command itself holds one."""
    fence = "```"
    while fence in command:
        fence += "`"
    return f"{fence}bash\n{command}\n{fence}"


def redact(text: str) -> str:
    """The text without any secret of this process's environment (names ending in KEY, TOKEN, SECRET, PASSWORD)."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "[redacted]")
    return text


def format_errors(messages: Iterable[Mapping[str, Any]]) -> int:
    """How often the model's answer held no action that could be run."""
    return sum((message.get("extra") or {}).get("interrupt_type") == "FormatError" for message in messages)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("text"))


def _commands(message: Mapping[str, Any]) -> list[str]:
    found = []
    for call in message.get("tool_calls") or []:
        arguments = call["function"]["arguments"]
        try:
            loaded = json.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:
            loaded = None
        command = loaded.get("command") if isinstance(loaded, dict) else None
        found.append(command if isinstance(command, str) else str(arguments))
    return found
