"""File text that an agent saw: recovered from the commands it ran and what they printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_TAG = re.compile(r"</?(?:output|output_head|output_tail|returncode|warning|elided_chars|response)>")
_NUMBERED = re.compile(r"^\s*(\d+)(?:\t|:|-|\||(?= {1,2}|$))(.*)$")
_RANGE = re.compile(r"\bsed\s+-n\s+['\"]?(\d+)\s*,\s*(\d+|\$)\s*p")
_PLAIN = re.compile(r"^\s*(?:cat|head)\b(?!.*\|)")
_ELISION = re.compile(r"<(?:elided_chars|warning)>.*?</(?:elided_chars|warning)>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class View:
    """Lines of a file as shown. `start` is the number of the first one, None where it is not known."""

    start: int | None
    lines: tuple[str, ...]


def views_of(messages: Sequence[Mapping[str, Any]], path: str) -> list[View]:
    """Every part of `path` that the run printed, in order; whole-file views come with `start` 1."""
    views: list[View] = []
    name = path.rsplit("/", 1)[-1]
    for command, output in pairwise(messages):
        if command["role"] != "assistant" or output["role"] == "assistant":
            continue
        asked = str(command["content"] or "")
        shown = str(output["content"] or "")
        if name in asked or f"[File: /{path}" in shown or path in shown[:2000]:
            views.extend(_views_in(asked, shown))
    return views


def blocks(views: Iterable[View]) -> list[View]:
    """The numbered views laid over each other, as runs without a gap; the earlier view of a line wins."""
    known: dict[int, str] = {}
    for view in views:
        if view.start is not None:
            for number, text in enumerate(view.lines, view.start):
                known.setdefault(number, text)
    runs: list[View] = []
    start, lines = 0, list[str]()
    for number in sorted(known):
        if lines and number != start + len(lines):
            runs.append(View(start, tuple(lines)))
            lines = []
        if not lines:
            start = number
        lines.append(known[number])
    if lines:
        runs.append(View(start, tuple(lines)))
    return runs


def _views_in(asked: str, shown: str) -> list[View]:
    found: list[View] = []
    for part in _ELISION.sub("\0", shown).split("\0"):
        lines = _body(part)
        if numbered := _numbered(lines):
            found.extend(_numbered_views(numbered))
        elif lines:
            found.append(View(_plain_start(asked) if not found else None, tuple(lines)))
    return found


def _numbered(lines: Sequence[str]) -> list[re.Match[str]]:
    """The lines with a number in front, where they are more than 60 %; else none, told as early as possible."""
    found: list[re.Match[str]] = []
    for place, line in enumerate(lines, 1):
        if match := _NUMBERED.match(line):
            found.append(match)
        elif len(found) + len(lines) - place <= 0.6 * len(lines):
            return []
    return found


def _body(part: str) -> list[str]:
    """Output lines without the agent framework's own wrapping."""
    text = re.sub(r"<returncode>.*?</returncode>", "", part, flags=re.DOTALL)
    lines = [line.rstrip("\r") for line in _TAG.sub("", text).split("\n")]
    while lines and (not lines[0].strip() or lines[0].startswith(("OBSERVATION:", "[File:"))):
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _plain_start(asked: str) -> int | None:
    command = asked.rsplit("```bash", 1)[-1]
    found = _RANGE.search(command)
    if found:
        return int(found.group(1))
    return 1 if any(_PLAIN.match(line) for line in command.split("\n")) else None


def _numbered_views(matches: Sequence[re.Match[str]]) -> list[View]:
    """Runs of consecutive numbers; `nl` and `grep -n` may leave gaps."""
    views: list[View] = []
    start, lines = 0, list[str]()
    for match in matches:
        number = int(match.group(1)[:9])
        if lines and number != start + len(lines):
            views.append(View(start, tuple(lines)))
            lines = []
        if not lines:
            start = number
        lines.append(match.group(2))
    if lines:
        views.append(View(start, tuple(lines)))
    return views
