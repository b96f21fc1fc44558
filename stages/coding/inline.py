"""Stretches of text that quote an edited line: by code tokens, so that wrapping and spacing hide nothing."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from contextrl_data.stages.lexical import fold

_TOKEN = re.compile(r"[^\W\d]\w*|\d[\w.]*|\S")
_ASCII_SOLID = np.array([not chr(code).isspace() for code in range(128)])
_GRAM = 4
_MOSTLY = 0.6
"""Share of a code line that quotes edited lines from which on the whole line is masked."""
_LONG = 30
"""Non-blank characters of one quotation from which on its code line is masked, however long the rest is."""

# What stands in front of a line of code where it is shown: numbers (cat -n, nl, grep -n), diff signs, pytest's marks.
PREFIXES = (
    re.compile(r"^\s*(?:[\w./-]+\.\w{1,4}[:-])?\d+(?:\t|[:|-]| {1,2}|\s*$)"),
    re.compile(r"^[+-](?![+-]{2} )"),
    re.compile(r"^[>E|](?=\s)"),
    re.compile(r"^(?:In \[\d+\]: |>>> |\.\.\. )"),
)


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
    def _short_folded(self) -> frozenset[str]:
        return frozenset("".join(tokens) for tokens in self.short)

    @classmethod
    def of(cls, lines: Iterable[str], run_chars: int, bound: int) -> Quotes:
        """Prepare the lines; `bound` is the length above which a line must not be readable at all."""
        grams: set[tuple[str, ...]] = set()
        short: set[tuple[str, ...]] = set()
        folded: set[str] = set()
        for line in lines:
            tokens = tuple(_TOKEN.findall(line))
            grams.update(tokens[start : start + _GRAM] for start in range(len(tokens) - _GRAM + 1))
            if len(fold(line)) > bound:
                folded.add(fold(line))
                if len(tokens) < _GRAM:
                    short.add(tokens)
        return cls(
            frozenset(grams), frozenset(short), tuple(sorted(folded, key=lambda text: (-len(text), text))), run_chars
        )

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the text quotes an edited line: runs of at least `run_chars` non-blank characters, and whole lines."""
        if not self.grams and not self.folded:
            return []
        packed = fold(text)
        found = [*self._runs(text), *_remains(text, packed, [line for line in self.folded if line in packed])]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def lines(self, text: str, lines: Sequence[str], folded: Sequence[str]) -> set[int]:
        """Numbers of the lines of a code view that show an edited line, or are mostly made of them.

        `folded` are the lines without white space.
        """
        packed = "".join(folded)
        present = [line for line in self.folded if line in packed]
        return self._shown(text, lines, _remains(text, packed, present), [(0, text)])

    def lines_near(
        self, text: str, lines: Sequence[str], packed: str, present: Sequence[str], covered: npt.NDArray[np.intp]
    ) -> set[int]:
        """What `lines` gives, looked for only where a `Sieve` found something.

        `packed` is the text without white space, `present` the long lines in it, `covered` what the sieve said of
        every line.
        """
        if not present and not covered.any():
            return set()
        if any(line in self._short_folded for line in present):
            stretches = [(0, text)]
        else:
            stretches = _stretches(lines, covered.tolist())
        return self._shown(text, lines, _remains(text, packed, present), stretches)

    def _shown(
        self, text: str, lines: Sequence[str], remains: Iterable[tuple[int, int]], stretches: Sequence[tuple[int, str]]
    ) -> set[int]:
        """Numbers of the lines that are to be masked; `stretches` of the text, and where they begin, may quote."""
        runs = [(first + start, first + end) for first, part in stretches for start, end in self._runs(part)]
        hidden: set[int] = set()
        starts = [0, *accumulate(len(line) + 1 for line in lines)]
        for start, end in remains:
            hidden.update(number for number, _ in _pieces(text, starts, start, end))
        shares: dict[int, int] = {}
        for start, end in runs:
            for number, size in _pieces(text, starts, start, end):
                shares[number] = shares.get(number, 0) + size
                if size >= _LONG:
                    hidden.add(number)
        hidden.update(number for number, size in shares.items() if size >= _MOSTLY * len(fold(code_of(lines[number]))))
        return hidden

    def _runs(self, text: str) -> list[tuple[int, int]]:
        """Runs of grams, by their places in the text; and whole short lines."""
        tokens = _TOKEN.findall(text)
        found: list[tuple[int, int]] = []
        for size in sorted({len(line) for line in self.short}):
            shown = zip(*(tokens[step:] for step in range(size)), strict=False)
            found.extend((start, start + size) for start, words in enumerate(shown) if words in self.short)
        grams = zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
        run: tuple[int, int] | None = None
        for start in [start for start, gram in enumerate(grams) if gram in self.grams]:
            if run is not None and start <= run[1]:
                run = (run[0], start + _GRAM)
                continue
            if run is not None and self._tells(tokens[run[0] : run[1]]):
                found.append(run)
            run = (start, start + _GRAM)
        if run is not None and self._tells(tokens[run[0] : run[1]]):
            found.append(run)
        if not found:
            return []
        matches = list(_TOKEN.finditer(text))
        return [(matches[first].start(), matches[end - 1].end()) for first, end in found]

    def _tells(self, tokens: Collection[str]) -> bool:
        """Long enough, and more than one name: a lone call such as `foo()` is an identifier, not a quotation."""
        names = {token for token in tokens if token[0].isalpha() or token[0] == "_"}
        return sum(map(len, tokens)) >= self.run_chars and len(names) > 1


def _remains(text: str, packed: str, present: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Long lines that stand in the text across token borders or line ends; `packed` has no white space."""
    if not present:
        return
    places = _solid_places(text)
    for line in present:
        start = packed.find(line)
        while start >= 0:
            yield int(places[start]), int(places[start + len(line) - 1]) + 1
            start = packed.find(line, start + len(line))


def _stretches(lines: Sequence[str], covered: Sequence[int]) -> list[tuple[int, str]]:
    """Neighbouring lines of which the sieve found any, blank ones between them included, and where they begin."""
    found: list[tuple[int, str]] = []
    held: list[str] = []
    begin = position = 0
    for line, count in zip(lines, covered, strict=True):
        if count or (held and not line.strip()):
            if not held:
                begin = position
            held.append(line)
        elif held:
            found.append((begin, "\n".join(held)))
            held = []
        position += len(line) + 1
    if held:
        found.append((begin, "\n".join(held)))
    return found


def _solid_places(text: str) -> Sequence[int] | npt.NDArray[np.intp]:
    """Where the characters stand that are no white space."""
    if text.isascii():
        return np.flatnonzero(_ASCII_SOLID[np.frombuffer(text.encode(), np.uint8)])
    return [place for place, char in enumerate(text) if not char.isspace()]


def _pieces(text: str, starts: Sequence[int], start: int, end: int) -> Iterable[tuple[int, int]]:
    """Each line that a span touches, with the number of its non-blank characters inside."""
    number = bisect_right(starts, start) - 1
    while start < end:
        stop = min(end, starts[number + 1]) if number + 1 < len(starts) else end
        if size := len(fold(text[start:stop])):
            yield number, size
        start, number = stop, number + 1


def code_of(line: str) -> str:
    """A shown line without what stands in front of the code."""
    for prefix in PREFIXES:
        line = line[match.end() :] if (match := prefix.match(line)) else line
    return line
