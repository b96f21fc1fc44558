"""Pieces of Markdown that every card is made of. Names come from data: they are text there, never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

PLACE_OF_REPO = "PATH_OR_REPO"
"""Stands in the card where `publish` writes the repository's name."""

LONGEST_NAME = 300
"""Characters of a name that a card shows."""

_MARKUP = re.compile(r"[\\`*\[\]#!~|]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; bars and line breaks in cells do no harm."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def prose(value: Any) -> str:
    """A value inside running text: one line, in which nothing is a heading, a link, a picture, code or HTML."""
    text = "".join(_HTML.get(letter, letter) for letter in one_line(value))
    return _MARKUP.sub(r"\\\g<0>", text)


def code(value: Any) -> str:
    """A value as a code span, also where it holds backticks."""
    text = one_line(value) or "unknown"
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(len(run) for run in re.findall(r"`+", text)))
    return f"{fence} {text} {fence}"


def one_line(value: Any) -> str:
    """Without line breaks and other control characters, and not endless."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def _cell(value: Any) -> str:
    """Bars that are escaped already stay as they are."""
    return " ".join(re.sub(r"(?<!\\)((?:\\\\)*)\|", r"\1\\|", str(value)).splitlines())
