"""The choice prompt: a question, its answer, two contexts, and which of them supports it.

A prompt is a list of parts, text and images in reading order, so that one template serves both kinds of pairs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

PLACEHOLDERS = ("{question}", "{answer}", "{context_a}", "{context_b}", "{label_a}", "{label_b}")

DEFAULT_TEMPLATE = """\
A question, an answer to it, and two contexts follow. The answer is right in one of the two contexts.

Question:
{question}

Answer:
{answer}

Context {label_a}:
{context_a}

Context {label_b}:
{context_b}

Which context supports the answer? Output {label_a} or {label_b} directly."""

_PLACE = re.compile("(" + "|".join(re.escape(name) for name in PLACEHOLDERS) + ")")


def transcript(messages: Sequence[Mapping[str, Any]]) -> str:
    """A message list as one text, each message under its role."""
    return "\n\n".join(f"[{message['role']}]\n{message.get('content') or ''}" for message in messages)


def fill(template: str, values: Mapping[str, Any]) -> list[Any]:
    """Put values (text, or images) in their places; neighbouring texts are joined.

    What a value says is never taken for a placeholder.
    """
    parts: list[Any] = []
    for piece in _PLACE.split(template):
        value = values[piece[1:-1]] if piece in PLACEHOLDERS else piece
        if isinstance(value, str):
            if parts and isinstance(parts[-1], str):
                parts[-1] += value
            elif value:
                parts.append(value)
        else:
            parts.append(value)
    return parts


def conversation(parts: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Any]]:
    """One user message from parts, in the form chat templates expect, and the images in reading order."""
    images = [part for part in parts if not isinstance(part, str)]
    if not images:
        return [{"role": "user", "content": "".join(parts)}], []
    content = [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in parts]
    return [{"role": "user", "content": content}], images
