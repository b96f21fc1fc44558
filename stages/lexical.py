"""Text as a blind guesser sees it: identifiers, whitespace-folded text, and the changed lines of a patch.

Shared by the masks' own measurements and by the audit, so that both speak of the same thing.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


_BLANKS = b" \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f"
_BLANKS_IN_LINES = _BLANKS.replace(b"\n", b"")
_SHORT = 100
_WIDE_BLANKS = [chr(code).encode() for code in range(128, 0x3001) if chr(code).isspace()]
_WORDS = bytes(code if chr(code) in string.ascii_letters + string.digits + "_" else 32 for code in range(256))


def fold(text: str) -> str:
    """The text without any white space, so that indentation and wrapping hide nothing."""
    if len(text) > _SHORT:
        # Most white space is ASCII, and bytes lose it several times faster than text is split at it.
        text = text.encode("utf-8", "surrogatepass").translate(None, _BLANKS).decode("utf-8", "surrogatepass")
        if text.isascii():
            return text
    return "".join(text.split())


def folded_bytes(text: str, line_ends: bool = False) -> bytes:
    """`fold` as UTF-8, lone surrogates as they are; with `line_ends` these stay."""
    data = text.encode("utf-8", "surrogatepass").translate(None, _BLANKS_IN_LINES if line_ends else _BLANKS)
    if not data.isascii():
        for blank in _WIDE_BLANKS:
            data = data.replace(blank, b"")
    return data


def folded_lines(lines: Sequence[str]) -> list[str]:
    """Every line without its white space."""
    text = "\n".join(lines).encode("utf-8", "surrogatepass").translate(None, _BLANKS_IN_LINES)
    found = text.decode("utf-8", "surrogatepass").split("\n") if lines else []
    if len(found) != len(lines):  # a line that holds line ends
        return [fold(line) for line in lines]
    return found if text.isascii() else [line if line.isascii() else "".join(line.split()) for line in found]


def identifiers(text: str) -> frozenset[str]:
    """Names of three characters or more, as a set."""
    return frozenset(_IDENTIFIER.findall(text))


def names_in(text: str, names: Collection[str]) -> frozenset[str]:
    """`identifiers(text)` as far as they are among `names`, which are identifiers themselves; sooner."""
    words = set(text.encode("utf-8", "surrogatepass").translate(_WORDS).split())
    # A number right in front is no part of a name: `2nd_row` shows `nd_row`.
    words.update([word.lstrip(string.digits.encode()) for word in words if word[0] < 58])
    return frozenset(name for name in names if name.encode() in words)


def context_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """All that a reader of this context sees, as one text."""
    return "\n".join(str(message.get("content") or "") for message in messages)


def changed_lines(patch: str) -> tuple[list[str], list[str]]:
    """Removed and added lines of a unified diff, in order, without the leading sign.

    Lines are counted against the hunk headers, so that a removed `-- comment` is not taken for a file header.
    """
    removed: list[str] = []
    added: list[str] = []
    old = new = 0
    for line in patch.split("\n"):
        if old <= 0 and new <= 0:
            header = _HUNK.match(line)
            if header:
                old, new = (int(part) if part is not None else 1 for part in header.groups())
            continue
        sign = line[:1]
        if sign == "-":
            removed.append(line[1:])
            old -= 1
        elif sign == "+":
            added.append(line[1:])
            new -= 1
        elif sign != "\\":
            old -= 1
            new -= 1
    return removed, added


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """What the lexical measures need of one context."""

    length: int
    folded: str
    names: frozenset[str]


@lru_cache(maxsize=16)
def text_features(text: str) -> TextFeatures:
    """Features of a context; remembered briefly, as both directions of a pair read the same two contexts."""
    return TextFeatures(length=len(text), folded=fold(text), names=identifiers(text))


def lines_found(lines: Sequence[str], folded: str, least: int = 5) -> int:
    """How many distinct lines with at least `least` non-blank characters occur in a folded text."""
    return sum(line in folded for line in dict.fromkeys(map(fold, lines)) if len(line) >= least)


class Idf(dict[str, float]):
    """Inverse document frequency of identifiers; a name never seen weighs the most."""

    def __init__(self, weights: Mapping[str, float] | None = None, unseen: float = 1.0) -> None:
        super().__init__(weights or {})
        self.unseen = unseen

    def __missing__(self, name: str) -> float:
        return self.unseen

    @classmethod
    def fit(cls, texts: Iterable[str]) -> Idf:
        """Learn the weights from contexts, one at a time."""
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(text_features(text).names)
            total += 1
        weights = {name: math.log((1 + total) / (1 + count)) + 1.0 for name, count in sorted(counts.items())}
        return cls(weights, unseen=math.log(1 + total) + 1.0)
