"""Pieces of Markdown that every card is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

PLACE_OF_REPO = "PATH_OR_REPO"
"""Stands in the card where `publish` writes the repository's name."""


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; bars and line breaks in cells do no harm."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
