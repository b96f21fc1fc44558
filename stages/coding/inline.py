"""Stretches of text that quote an edited line: by code tokens, so that wrapping and spacing hide nothing."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from contextrl_data.stages.lexical import fold

_TOKEN = re.compile(r"[^\W\d]\w*|\d[\w.]*|\S")
_ASCII_SOLID = np.array([not chr(code).isspace() for code in range(128)])
_GRAM = 4
_MOSTLY = 0.6
"""Share of a code line that quotes edited lines from which on the whole line is masked."""
LONG = 30
"""Non-blank characters of one quotation from which on its code line is masked, however long the rest is."""

# What stands in front of a line of code where it is shown: numbers (cat -n, nl, grep -n), diff signs, pytest's marks.
PREFIXES = (
    re.compile(r"^\s*(?:[\w./-]+\.\w{1,4}[:-])?\d+(?:\t|[:|-]| {1,2}|\s*$)"),
    re.compile(r"^[+-](?![+-]{2} )"),
    re.compile(r"^[>E|](?=\s)"),
    re.compile(r"^(?:In \[\d+\]: |>>> |\.\.\. )"),
)

Span = tuple[int, int]


@dataclass(frozen=True)
class Quotes:
    """The token sequences of edited lines, ready to be looked for."""

    grams: frozenset[tuple[str, ...]]
    """Every run of four tokens inside a line."""
    short: frozenset[tuple[str, ...]]
    """Whole lines of fewer tokens that are long enough to be told."""
    folded: tuple[str, ...]
    """The long lines without white space, longest first: none of these may remain."""
    run_chars: int

    @cached_property
    def least(self) -> int:
        """Non-blank characters that a quotation by tokens has at least."""
        return min([max(self.run_chars, _GRAM), *(sum(map(len, tokens)) for tokens in self.short)])

    @cached_property
    def _short_sizes(self) -> list[int]:
        return sorted({len(line) for line in self.short})

    @classmethod
    def of(cls, lines: Iterable[str], run_chars: int, bound: int) -> Quotes:
        """Prepare the lines; `bound` is the length above which a line must not be readable at all."""
        grams: set[tuple[str, ...]] = set()
        short: set[tuple[str, ...]] = set()
        folded: set[str] = set()
        for line in lines:
            tokens = tuple(_TOKEN.findall(line))
            grams.update(zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False))
            packed = "".join(tokens)
            if len(packed) > bound:
                folded.add(packed)
                if len(tokens) < _GRAM:
                    short.add(tokens)
        return cls(
            frozenset(grams), frozenset(short), tuple(sorted(folded, key=lambda text: (-len(text), text))), run_chars
        )

    def spans(self, text: str) -> list[Span]:
        """Where the text quotes an edited line: runs of at least `run_chars` non-blank characters, and whole lines."""
        packed = fold(text)
        return _merged([*self._runs(text), *_remains(text, packed, [line for line in self.folded if line in packed])])

    def spans_near(self, text: str, stretches: Iterable[tuple[int, str]], present: Sequence[str]) -> list[Span]:
        """What `spans` gives where only these stretches, each with its beginning, may quote by tokens.

        `present`: the long lines that the text shows, white space aside.
        """
        runs = [(begin + start, begin + end) for begin, part in stretches for start, end in self._runs(part)]
        return _merged([*runs, *(_remains(text, fold(text), present) if present else ())])

    def covers(self, lines: Sequence[str]) -> list[int]:
        """Numbers of neighbouring code lines that are mostly made of edited lines, by tokens."""
        tokens: list[str] = []
        borders: list[int] = []
        for line in lines:
            tokens += _TOKEN.findall(line)
            borders.append(len(tokens))
        hidden: set[int] = set()
        shares: dict[int, int] = {}
        for begin, end in self._token_runs(tokens):
            number = bisect_right(borders, begin)
            while begin < end:
                stop = min(end, borders[number])
                size = sum(map(len, tokens[begin:stop]))
                shares[number] = shares.get(number, 0) + size
                if size >= LONG:
                    hidden.add(number)
                begin, number = stop, bisect_right(borders, stop)
        hidden.update(number for number, size in shares.items() if size >= share_needed(lines[number]))
        return sorted(hidden)

    def _runs(self, text: str) -> list[Span]:
        """Runs of grams, by their places in the text; and whole short lines."""
        found = list(self._token_runs(_TOKEN.findall(text)))
        if not found:
            return []
        matches = list(_TOKEN.finditer(text))
        return [(matches[first].start(), matches[end - 1].end()) for first, end in found]

    def _token_runs(self, tokens: Sequence[str]) -> Iterator[Span]:
        """Runs of grams, and whole short lines, by the numbers of their tokens."""
        for size in self._short_sizes:
            shown = zip(*(tokens[step:] for step in range(size)), strict=False)
            yield from ((start, start + size) for start, words in enumerate(shown) if words in self.short)
        grams = zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
        known = self.grams
        begin = end = -1
        for start in [start for start, gram in enumerate(grams) if gram in known]:
            if start > end:
                if begin >= 0 and self._tells(tokens[begin:end]):
                    yield begin, end
                begin = start
            end = start + _GRAM
        if begin >= 0 and self._tells(tokens[begin:end]):
            yield begin, end

    def _tells(self, tokens: Collection[str]) -> bool:
        """Long enough, and more than one name: a lone call such as `foo()` is an identifier, not a quotation."""
        if sum(map(len, tokens)) < self.run_chars:
            return False
        return len({token for token in tokens if token[0].isalpha() or token[0] == "_"}) > 1


def share_needed(line: str) -> float:
    """Non-blank characters of edited lines from which on a line of code is mostly made of them."""
    return _MOSTLY * len(fold(code_of(line)))


def code_of(line: str) -> str:
    """A shown line without what stands in front of the code."""
    for prefix in PREFIXES:
        line = line[match.end() :] if (match := prefix.match(line)) else line
    return line


def _merged(found: Iterable[Span]) -> list[Span]:
    """In order, and those that overlap or touch as one."""
    merged: list[Span] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _remains(text: str, packed: str, present: Sequence[str]) -> Iterator[Span]:
    """Long lines that stand in the text across token borders or line ends; `packed` has no white space."""
    if not present:
        return
    places = _solid_places(text)
    for line in present:
        start = packed.find(line)
        while start >= 0:
            yield int(places[start]), int(places[start + len(line) - 1]) + 1
            start = packed.find(line, start + len(line))


def _solid_places(text: str) -> Sequence[int] | npt.NDArray[np.intp]:
    """Where the characters stand that are no white space."""
    if text.isascii():
        return np.flatnonzero(_ASCII_SOLID[np.frombuffer(text.encode(), np.uint8)])
    return [place for place, char in enumerate(text) if not char.isspace()]
