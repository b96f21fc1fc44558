"""One row of anybody's dataset in the form that every check reads, and the map from columns to it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.audit.config import Columns
from contextrl_data.stages.audit.reading import Opened
from contextrl_data.stages.inside import read_inside

_PLAIN = ("pair", "group", "split", "question", "correct_first", "licence", "source")
_CONTEXTS = ("context", "image", "embedding")


@dataclass(slots=True)
class Pair:
    """One directed pair. What a dataset does not have is empty or None."""

    id: str
    split: str
    answer: str
    question: str = ""
    pair: str = ""
    group: str = ""
    correct_first: bool | None = None
    licence: str = ""
    source: str = ""
    contexts: tuple[str, str] | None = None
    """C+ and C- as text."""
    turns: tuple[int, int] | None = None
    """Messages in each, where they are lists."""
    images: tuple[bytes, bytes] | None = None
    """C+ and C- as encoded images; empty bytes where one could not be read."""
    embeddings: tuple[list[float], list[float]] | None = None
    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


class ColumnMap:
    """Which columns a dataset has of those that a pair is made of.

    Raises:
        InputError: a column that was named is not there, or there is nothing to tell apart.
    """

    def __init__(self, columns: Columns, opened: Opened) -> None:
        self.columns, self.base, self._there = columns, opened.base, opened.columns
        if not self._there:
            raise InputError(f"{opened.name} holds no row", "name a dataset with pairs")
        for name in columns.model_fields_set:
            value = getattr(columns, name)
            for wanted in value if isinstance(value, list) else [value]:
                self._must(opened.name, name, wanted)
        if not self.has("answer"):
            raise self._lacks(opened.name, "no column 'answer'", "--set columns.answer=COLUMN")
        self.kinds = [kind for kind in _CONTEXTS if self.has(f"{kind}_pos") and self.has(f"{kind}_neg")]
        if not self.kinds:
            raise self._lacks(
                opened.name,
                "neither context_pos and context_neg nor image_pos and image_neg",
                "--set columns.context_pos=COLUMN --set columns.context_neg=COLUMN",
            )

    def _lacks(self, name: str, what: str, setting: str) -> InputError:
        return InputError(f"{name} has {what}; it has {_named(self._there)}", f"say which they are with {setting}")

    def has(self, name: str) -> bool:
        """Whether the dataset has the column that stands for `name`."""
        return self._found(getattr(self.columns, name))

    def _found(self, column: str) -> bool:
        return column in self._there or column.split(".")[0] in self._there

    def _must(self, dataset: str, name: str, column: str) -> None:
        if self._found(column):
            return
        near = difflib.get_close_matches(column, self._there, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{dataset} has no column {column!r} (columns.{name}); it has {_named(self._there)}",
            f"mend --set columns.{name}=...{hint}",
        )

    @property
    def wanted(self) -> list[str]:
        """Top-level columns to read."""
        names = ["id", "answer", *_PLAIN, *(f"{kind}_{side}" for kind in self.kinds for side in ("pos", "neg"))]
        every = [getattr(self.columns, name) for name in names] + self.columns.ids + self.columns.texts
        tops = [name if name in self._there else name.split(".")[0] for name in every]
        return [name for name in dict.fromkeys(tops) if name in self._there]

    def pair(self, row: Row, split: str, number: int) -> Pair | None:
        """The row as a pair, or None where its answer or one of its contexts is missing or has no readable form."""
        try:
            return self._pair(row, split, number)
        except RecursionError:  # lists in lists in lists, as nobody writes a context
            return None

    def lacking(self, row: Row) -> str:
        """Which parts of a pair a row has not, with the columns that were looked at."""
        names = ["answer", *(f"{kind}_{side}" for kind in self.kinds for side in ("pos", "neg"))]
        empty = [name for name in names if value_at(row, getattr(self.columns, name)) in (None, "", [])]
        told = [f"{name} (column {getattr(self.columns, name)!r})" for name in empty]
        return ", ".join(told) or "a readable form"

    def _pair(self, row: Row, split: str, number: int) -> Pair | None:
        parts = {kind: both for kind in self.kinds if (both := self._both(row, kind)) is not None}
        answer = as_text(value_at(row, self.columns.answer))
        if not answer.strip() or len(parts) < len(self.kinds):
            return None
        plain = {name: value_at(row, getattr(self.columns, name)) for name in _PLAIN}
        name = value_at(row, self.columns.id)
        pair = Pair(
            id=str(name) if name not in (None, "") else f"row {number}",
            split=str(plain["split"] or "") or split,
            answer=answer,
            question=as_text(plain["question"]),
            correct_first=shown_first(plain["correct_first"], self.columns.correct_first),
            ids=[str(value) for column in self.columns.ids if (value := value_at(row, column)) not in (None, "")],
            texts=[text for column in self.columns.texts if (text := as_text(value_at(row, column)))],
            pair=str(plain["pair"] or ""),
            group=str(plain["group"] or ""),
            licence=str(plain["licence"] or ""),
            source=str(plain["source"] or ""),
        )
        if "context" in parts:
            right, wrong = parts["context"]
            pair.contexts = (as_text(right), as_text(wrong))
            if isinstance(right, list) and isinstance(wrong, list):
                pair.turns = (len(right), len(wrong))
        if "image" in parts:
            right, wrong = parts["image"]
            pair.images = (image_bytes(right, self.base), image_bytes(wrong, self.base))
        pair.embeddings = parts.get("embedding")
        return pair

    def _both(self, row: Row, kind: str) -> tuple[Any, Any] | None:
        right, wrong = (value_at(row, getattr(self.columns, f"{kind}_{side}")) for side in ("pos", "neg"))
        return None if right in (None, "", []) or wrong in (None, "", []) else (right, wrong)


def value_at(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column; a dot goes into a struct. None where it is not there."""
    if column in row:
        return row[column]
    value: Any = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def as_text(value: Any) -> str:
    """What a reader sees of a string, a message, a list of either, or anything else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        inside = value.get("content", value.get("text"))
        return as_text(inside) if inside is not None else ""
    if isinstance(value, list | tuple):
        return "\n".join(as_text(part) for part in value)
    return str(value)


def image_bytes(value: Any, base: Path | None) -> bytes:
    """An encoded image as it was stored; empty where it cannot be read, or lies outside the dataset's folder."""
    path = None
    if isinstance(value, Mapping):
        value, path = value.get("bytes"), value.get("path")
    if isinstance(value, bytes) and value:
        return value
    path = value if isinstance(value, str) else path
    if not path or base is None:
        return b""
    try:
        return read_inside(base, str(path))
    except (OSError, ValueError):
        return b""


def shown_first(value: Any, column: str) -> bool | None:
    """Whether C+ is shown first, from a truth value, an option's letter or its number.

    Raises:
        InputError: the value says neither.
    """
    if value is None or isinstance(value, bool):
        return value
    known = {"A": True, "B": False, "0": True, "1": False, "TRUE": True, "FALSE": False}
    said = known.get(str(value).strip().strip("()").upper())
    if said is None:
        raise InputError(
            f"column {column!r} says {str(value)[:40]!r}, which is no place of C+",
            "it must be true or false, A or B, 0 or 1; or --set columns.correct_first=COLUMN",
        )
    return said


def _named(columns: list[str]) -> str:
    return ", ".join(columns[:40]) + (", ..." if len(columns) > 40 else "")
