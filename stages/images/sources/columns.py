"""One raw row of an image-QA set -> question, answer, choices and the picture's bytes, or why it is of no use."""

from __future__ import annotations

import base64
import binascii
import math
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.images.sources.spec import ImageSetSpec
from contextrl_data.stages.inside import Outside, TooLarge, read_inside

FOLDER = "\0folder"
"""Key under which a reader tells where the paths of a row begin."""


@dataclass(frozen=True)
class Found:
    """A row that can be used; its picture is still to be looked at."""

    own_id: str
    question: str
    answer: str
    choices: list[str]
    data: bytes
    path: str | None
    licence: str
    domain: str


@dataclass(frozen=True)
class Unusable:
    """Why a row is of no use: a short fixed phrase."""

    reason: str


def read_row(raw: Row, spec: ImageSetSpec) -> Found | Unusable:
    """Look the columns up and bring them into one form; never raises."""
    columns = spec.columns
    question = _text(_reach(raw, columns.question))
    if not question:
        return Unusable("no question")
    choices = _choices(_reach(raw, columns.choices))
    if choices is None:
        return Unusable("choices are no list")
    answer = _answer(_reach(raw, columns.answer), choices)
    if isinstance(answer, Unusable):
        return answer
    picture = _picture(_reach(raw, columns.image), raw.get(FOLDER))
    if isinstance(picture, Unusable):
        return picture
    own_id, licence, domain = (_text(_reach(raw, name)) for name in (columns.id, columns.licence, columns.domain))
    return Found(own_id, question, answer, choices, *picture, licence, domain)


def _reach(raw: Any, path: str | None) -> Any:
    """The value at a dotted path; a column whose own name holds dots is found first."""
    if path is None:
        return None
    if isinstance(raw, Mapping) and path in raw:
        return raw[path]
    head, _, rest = path.partition(".")
    here = None
    if isinstance(raw, Mapping):
        here = raw.get(head)
    elif _is_list(raw) and head.isdecimal() and int(head) < len(raw):
        here = raw[int(head)]
    return _reach(here, rest) if rest and here is not None else here


def _answer(value: Any, choices: list[str]) -> str | Unusable:
    if _is_list(value):
        counts = Counter(text for text in map(_text, value) if text)
        if not counts:
            return Unusable("no answer")
        (best, count), total = counts.most_common(1)[0], sum(counts.values())
        if 2 * count <= total:
            return Unusable("answers disagree")
        value = best
    if isinstance(value, Mapping):
        return Unusable("answer is no text")
    if choices and isinstance(value, int) and not isinstance(value, bool):
        return choices[value] if 0 <= value < len(choices) else Unusable("answer is no choice")
    text = _text(value)
    if not text:
        return Unusable("no answer")
    if not choices or text in choices:
        return text
    letter = text.strip("().: ").upper()
    place = string.ascii_uppercase.find(letter) if len(letter) == 1 else -1
    if 0 <= place < len(choices):
        return choices[place]
    same = [choice for choice in choices if choice.casefold() == text.casefold()]
    return same[0] if same else Unusable("answer is no choice")


def _choices(value: Any) -> list[str] | None:
    """Choices as text; [] where the question is open, None where they are something else than a list."""
    if isinstance(value, str) and value.strip():
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if value is None or value == "":
        return []
    if not _is_list(value):
        return None
    found = [_text(one) for one in value]
    return found if all(found) and len(set(found)) == len(found) else None


def _picture(value: Any, folder: Path | None) -> tuple[bytes, str | None] | Unusable:
    if _is_list(value):
        if len(value) != 1:
            return Unusable("no image" if not value else "several images")
        value = value[0]
    path = None
    if isinstance(value, Mapping):
        path = value.get("path") if isinstance(value.get("path"), str) else None
        value = value.get("bytes") or path
    if isinstance(value, str) and value:
        return _from_text(value, folder)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), path
    return Unusable("no image")


def _from_text(text: str, folder: Path | None) -> tuple[bytes, str | None] | Unusable:
    """A data URI, a path below the set's folder, or base64."""
    if text.startswith("data:"):
        return _decoded(text.partition(",")[2])
    if folder is not None and len(text) < 1024 and "\0" not in text:
        named = bool(PurePosixPath(text).suffix)  # base64 has no dot
        try:
            return read_inside(folder, text), PurePosixPath(text).name
        except Outside:
            if named:
                return Unusable("image path leaves the folder")
        except TooLarge:
            return Unusable("image file is too large")
        except FileNotFoundError:
            if named:
                return Unusable("image file is missing")
        except (OSError, RuntimeError, ValueError):
            if named:
                return Unusable("image file cannot be read")
    return _decoded(text)


def _decoded(text: str) -> tuple[bytes, str | None] | Unusable:
    try:
        return base64.b64decode(text, validate=True), None
    except (binascii.Error, ValueError):
        return Unusable("image is no base64")


def _text(value: Any) -> str:
    """A value as an answer is written; "" where it holds none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, str | int):
        return str(value).strip()
    return ""


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)
