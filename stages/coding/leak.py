"""What is left after masking: measured for each answer and each view, never believed."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any

from contextrl_data.stages.coding.longest import longest_runs
from contextrl_data.stages.coding.regions import REGION
from contextrl_data.stages.lexical import changed_lines, context_text, fold, folded_bytes, identifiers, names_in

VIEWS = ("full", "before_edit")
_LEAST = 5
"""Non-blank characters that a line must have to count as found."""

Messages = Sequence[Mapping[str, str]]
Views = Mapping[str, Messages]


def leaks(sides: Sequence[Mapping[str, Any]], views: Sequence[Views], readable_chars: int) -> list[dict[str, Any]]:
    """The LEAK structs of both answers in both views: the own context is C+, the other one C-."""
    answers = [_Answer.of(side, readable_chars) for side in sides]
    contexts = [_read(view, answers[0].names | answers[1].names) for view in views]
    found = []
    for own, other in ((0, 1), (1, 0)):
        longest = _longest(answers[own], contexts[own])
        for view in VIEWS:
            leak = _leak(answers[own], contexts[own][view], contexts[other][view], longest[view])
            found.append({"answer": ("first", "second")[own], "view": view, **leak})
    return found


def _packed(folded: str) -> bytes:
    return folded.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class _Answer:
    """What is looked for of one patch; lines are folded, and each is there once."""

    removed: list[bytes]
    added: list[bytes]
    long: list[bytes]
    """Added lines that must not be readable."""
    wanted: list[str]
    """Added lines of which stretches are looked for."""
    names: frozenset[str]
    heads: tuple[bytes, ...]
    """How the edited functions and classes begin, or, where there are none, a mask."""

    @classmethod
    def of(cls, side: Mapping[str, Any], readable_chars: int) -> _Answer:
        patch = str(side["patch"])
        removed, added = (list(dict.fromkeys(map(fold, lines))) for lines in changed_lines(patch))
        heads = [
            f"{word}{edit['symbol'].rsplit('.', 1)[-1]}{mark}"
            for edit in side["edits"]
            if edit["symbol"]
            for word, mark in (("def", "("), ("class", "("), ("class", ":"))
        ]
        return cls(
            [_packed(line) for line in removed if len(line) >= _LEAST],
            [_packed(line) for line in added if len(line) >= _LEAST],
            [_packed(line) for line in added if len(line) > readable_chars],
            added,
            identifiers(patch),
            tuple(map(_packed, heads or [fold(REGION)])),
        )


class _Text:
    """A masked context without white space."""

    def __init__(self, messages: Messages) -> None:
        pieces = [folded_bytes(message["content"]) for message in messages]
        self.folded = b"".join(pieces)
        self.ends = list(accumulate(map(len, pieces)))
        """Where each message ends in it."""
        self._spoken = [message["role"] in ("assistant", "system") for message in messages]
        self._places: dict[bytes, int] = {}

    def end_of(self, line: bytes) -> float:
        """Where the line first ends; infinity where it is not shown."""
        place = self._places.get(line)
        if place is None:
            place = self._places[line] = self.folded.find(line)
        return place + len(line) if place >= 0 else math.inf

    def first_showing(self, head: bytes) -> float:
        """Number of the first observation that shows it; infinity where none does."""
        place = self.folded.find(head)
        while place >= 0:
            number = bisect_right(self.ends, place)
            within = place + len(head) <= self.ends[number]
            if within and not self._spoken[number]:
                return number
            place = self.folded.find(head, self.ends[number] if within else place + 1)
        return math.inf


@dataclass(frozen=True)
class _Context:
    """A masked context in one view: the beginning of a text, or all of it."""

    text: _Text
    size: int
    """Bytes of the folded text."""
    messages: int
    names: frozenset[str]
    """Those of both answers that it shows."""

    def found(self, lines: Sequence[bytes]) -> int:
        """How many of the lines it shows."""
        return sum(self.text.end_of(line) <= self.size for line in lines)

    def shows_function(self, answer: _Answer) -> bool:
        """Whether an observation still shows the head of an edited function, or a masked region of it."""
        return any(self.text.first_showing(head) < self.messages for head in answer.heads)


def _read(views: Views, names: frozenset[str]) -> dict[str, _Context]:
    """Both views of a run. Where one begins the other, which is the rule, that part is read once."""
    full, head = views["full"], views["before_edit"]
    text = begin = _Text(full)
    shown = names_in(context_text(head), names)
    if full[: len(head)] == head:
        seen = shown | names_in(context_text(full[len(head) :]), names)
    else:
        begin, seen = _Text(head), names_in(context_text(full), names)
    return {
        "full": _Context(text, len(text.folded), len(full), seen),
        "before_edit": _Context(begin, begin.ends[len(head) - 1] if head else 0, len(head), shown),
    }


def _longest(answer: _Answer, own: Mapping[str, _Context]) -> dict[str, tuple[int, int]]:
    """By view, the longest stretch of an added line in the answer's own context, and that line's length."""
    full, before = own["full"], own["before_edit"]
    if full.text is before.text:
        return dict(zip(VIEWS, longest_runs(answer.wanted, full.text.folded, [full.size, before.size]), strict=True))
    return {view: longest_runs(answer.wanted, own[view].text.folded, [own[view].size])[0] for view in VIEWS}


def _leak(answer: _Answer, positive: _Context, negative: _Context, longest: tuple[int, int]) -> dict[str, Any]:
    """What one answer leaves in its own context, and in the other one."""
    run, length = longest
    own, other = (answer.names & context.names for context in (positive, negative))
    return {
        "longest_run": run,
        "longest_share": run / length if length else 0.0,
        "readable": positive.found(answer.long),
        "only_in_pos": _share(len(own - other), len(answer.names)),
        "only_in_neg": _share(len(other - own), len(answer.names)),
        "overlap_pos": _weighted(len(own - other), len(own & other), len(own ^ other), len(answer.names)),
        "overlap_neg": _weighted(len(other - own), len(own & other), len(own ^ other), len(answer.names)),
        "removed_pos": positive.found(answer.removed),
        "removed_neg": negative.found(answer.removed),
        "added_pos": positive.found(answer.added),
        "added_neg": negative.found(answer.added),
        "function_pos": positive.shows_function(answer),
        "function_neg": negative.shows_function(answer),
    }


def _weighted(alone: int, both: int, either: int, names: int) -> float:
    """Share of the names that one context shows, each weighing its inverse document frequency over the two.

    `alone`: names that only this context shows; `either`: those that only this or only the other does.
    """
    nowhere, one, two = (math.log(3 / (1 + count)) + 1 for count in range(3))
    shown = math.fsum([*repeat(one, alone), *repeat(two, both)])
    return _share(shown, math.fsum([*repeat(nowhere, names - both - either), *repeat(one, either), *repeat(two, both)]))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
