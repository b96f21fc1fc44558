"""Chat messages of any framework, in the one normal form: role and text, tool calls written into the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from contextrl_data.stages.coding.normal_form import fenced
from contextrl_data.stages.coding.readers.decode import loads
from contextrl_data.stages.coding.readers.found import Message, Unusable
from contextrl_data.stages.coding.readers.in_arrow import MessagesInArrow

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "environment": "tool",
    "ipython": "tool",
}
PLAIN_ROLES = {"system", "user", "tool"}
SILENT = {"exit"}
"""Roles that frameworks add for themselves: no agent ever read them."""
MINI_FENCE = "```mswea_bash_command"
SHELL_TOOLS = {"bash", "execute_bash", "shell", "run", "terminal", "run_command"}
_SHELL_CALL = re.compile(
    # The command never runs over the next call: without that, unclosed calls would be searched to the end each.
    r"<function=(?:bash|execute_bash)>\s*<parameter=command>\n?((?:(?!<function=).)*?)\n?</parameter>\s*</function>",
    re.DOTALL,
)


def normal_messages(value: Any, max_chars: int) -> Sequence[Message]:
    """A column of messages, read whatever framework wrote it.

    Raises:
        Unusable: no list of messages, an unknown role, or more text than `max_chars`.
    """
    if isinstance(value, MessagesInArrow):
        if len(value.data) > max_chars and sum(len(message["content"]) for message in value) > max_chars:
            raise Unusable("trajectory is too large")
        if "assistant" not in value.roles:
            raise Unusable("no assistant message")
        return value
    if isinstance(value, str):
        if len(value) > max_chars:
            raise Unusable("trajectory is too large")
        value = loads(value)
    if value is None:
        raise Unusable("no messages")
    if not isinstance(value, list):
        raise Unusable("messages are not a list")
    found: list[Message] = []
    size = 0
    for raw in value:
        message = raw if _is_plain(raw) else _message(raw)
        if message is not None:
            size += len(message["content"])
            if size > max_chars:
                raise Unusable("trajectory is too large")
            found.append(message)
    if not any(message["role"] == "assistant" for message in found):
        raise Unusable("no assistant message")
    return found


def _is_plain(raw: Any) -> bool:
    """Whether a message is in the normal form already, which most are: then it is not copied."""
    if type(raw) is not dict or len(raw) != 2:
        return False
    role, content = raw.get("role"), raw.get("content")
    if type(content) is not str or type(role) is not str or "\0" in content:
        return False
    if role == "assistant":
        return "<function=" not in content and MINI_FENCE not in content
    return role in PLAIN_ROLES


def _message(raw: Any) -> Message | None:
    if type(raw) is not dict:
        raise Unusable("message is not a mapping")
    role = raw.get("role")
    if role is None:
        return _response_item(raw)
    name = (ROLES.get(role) or ROLES.get(role.lower())) if type(role) is str else None
    if name is None:
        if type(role) is str and role in SILENT:
            return None
        raise Unusable("message with an unknown role")
    content = raw.get("content")
    text = content if type(content) is str else content_text(content)
    if name == "assistant":
        if raw.get("tool_calls"):
            text = joined(text, *tool_calls(raw["tool_calls"]))
        elif raw.get("function_call"):
            text = joined(text, *tool_calls([{"function": raw["function_call"]}]))
        elif "<function=" in text:
            text = _SHELL_CALL.sub(lambda call: fenced(call.group(1)), text)
        if MINI_FENCE in text:
            text = text.replace(MINI_FENCE, "```bash")
    return {"role": name, "content": text.replace("\0", "\ufffd") if "\0" in text else text}


def content_text(content: Any) -> str:
    """Text of a message: as it is, or the parts of one laid under each other; images are named, not shown."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part for part in map(_part_text, content) if part)
    raise Unusable("message content is not text")


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise Unusable("message content is not text")
    for name in ("text", "content", "output"):
        if isinstance(part.get(name), str):
            return str(part[name])
    return f"[{part.get('type') or 'part'}]" if "image" in str(part.get("type")) else ""


def _response_item(raw: Mapping[str, Any]) -> Message | None:
    """One item of the Responses API, as mini-swe-agent 2 stores it with such models."""
    if isinstance(raw.get("output"), list):
        texts = [content_text(item.get("content")) for item in raw["output"] if _is(item, "message")]
        calls = [{"function": item} for item in raw["output"] if _is(item, "function_call")]
        return {"role": "assistant", "content": joined(*texts, *tool_calls(calls)).replace("\0", "\ufffd")}
    if _is(raw, "function_call_output"):
        return {"role": "tool", "content": content_text(raw.get("output")).replace("\0", "\ufffd")}
    raise Unusable("message with an unknown role")


def _is(item: Any, kind: str) -> bool:
    return isinstance(item, Mapping) and item.get("type") == kind


def tool_calls(calls: Any) -> Iterable[str]:
    """Each call as text: a shell command as a fenced block, any other as `<function=...>` with its parameters."""
    if isinstance(calls, str):
        calls = loads(calls)
    if not isinstance(calls, list):
        raise Unusable("tool calls are not a list")
    for call in calls:
        function = call.get("function") if isinstance(call, Mapping) else None
        function = function if isinstance(function, Mapping) else call
        if not isinstance(function, Mapping):
            raise Unusable("tool call is not a mapping")
        yield _call_text(str(function.get("name") or "unknown"), function.get("arguments"))


def _call_text(name: str, arguments: Any) -> str:
    if isinstance(arguments, str):
        with suppress(Unusable):  # a model's malformed call is part of the run: shown as it was
            arguments = loads(arguments) if arguments.strip() else {}
    if not isinstance(arguments, Mapping):
        return f"<function={name}>\n{'' if arguments is None else arguments}\n</function>"
    given = {key: value for key, value in arguments.items() if value is not None}
    if name in SHELL_TOOLS and isinstance(given.get("command"), str) and len(given) == 1:
        return fenced(given["command"])
    lines = [f"<parameter={key}>{_value_text(value)}</parameter>" for key, value in given.items()]
    return "\n".join([f"<function={name}>", *lines, "</function>"])


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError as error:
        raise Unusable("tool call is nested too deeply") from error


def joined(*texts: str) -> str:
    """The texts that are not blank, an empty line between them."""
    return "\n\n".join(text for text in texts if text.strip())
