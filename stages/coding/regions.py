"""The edited regions of patches, before and after, and their replacement wherever a text shows them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from contextrl_data.stages.coding.inline import PREFIXES, Quotes
from contextrl_data.stages.coding.patches import Change, FilePatch, Hunk
from contextrl_data.stages.coding.sieve import Sieve
from contextrl_data.stages.lexical import fold, folded_lines

REGION = "<REGION_MASKED>"

# Python 3.11 and later, and pytest, underline the failing part of the line above.
_CARETS = re.compile(r"^[E>|]?[ \t]*[~^]+[ \t~^]*\r?$")
_WORD = re.compile(r"[^\W\d]\w*")
_STRONG, _WEAK = 2, 1
_TAIL = 6
_BLANK_ENDS = frozenset(["", *"0123456789:|-+>E."])
"""How a line without white space ends that may show nothing but what stands in front of code."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """A change between two context lines: what stands there before and after, without blank lines."""

    after: str
    between: tuple[tuple[str, ...], ...]


@dataclass
class Regions:
    """Everything that two (or one) patches change, ready to be masked in any text."""

    quotes: Quotes
    strength: dict[str, int] = field(default_factory=dict)
    """Folded changed line -> masked wherever it stands alone (2), or only beside another masked line (1)."""
    gaps: dict[str, list[_Gap]] = field(default_factory=dict)
    """Folded context line above a change -> the changes below it."""
    _tails: frozenset[str] = frozenset()
    """The last characters of every line that matters: most lines of a text end in none of these."""
    _tail_sizes: tuple[int, ...] = ()
    _known_forms: dict[str, list[str]] = field(default_factory=dict)
    _sieve: Sieve | None = None

    @classmethod
    def of(cls, files: Iterable[FilePatch], run_chars: int = 12, bound: int = 12) -> Regions:
        """Collect the changed lines of all files."""
        hunks = [hunk for file in files for hunk in file.hunks]
        lines = [text for hunk in hunks for sign, text in hunk.lines if sign != " "]
        regions = cls(Quotes.of(lines, run_chars, bound))
        regions._sieve = Sieve(dict.fromkeys(lines), run_chars)
        for line in lines:
            regions.strength[fold(line)] = _STRONG if _is_telling(line) else _WEAK
        for hunk in hunks:
            regions._add_gaps(hunk)
        gaps = [gap for found in regions.gaps.values() for gap in found]
        inside = [line for gap in gaps for between in gap.between for line in between]
        known = {*regions.strength, *regions.gaps, *inside, *(gap.after for gap in gaps)} - {""}
        regions._tails = frozenset(line[-_TAIL:] for line in known)
        regions._tail_sizes = tuple(sorted({len(tail) for tail in regions._tails}, reverse=True))
        return regions

    def _add_gaps(self, hunk: Hunk) -> None:
        for change in hunk.changes():
            before, after = _neighbours(hunk, change)
            if before and after:
                gap = _Gap(after, (_packed(change.removed), _packed(change.added)))
                if gap not in self.gaps.setdefault(before, []):
                    self.gaps[before].append(gap)

    def touched(self, texts: Sequence[str], code: Sequence[bool]) -> set[int]:
        """Numbers of the texts that `mask` may change; all others it would return as they are."""
        if self._sieve is None or not self.strength:
            return set()
        lines = [text.split("\n") for text in texts]
        flat = [line for own in lines for line in own]
        owners = np.repeat(np.arange(len(lines)), [len(own) for own in lines]).tolist()
        found: set[int] = set()
        for place in np.flatnonzero(covered := self._sieve.covered(flat)).tolist():
            if owners[place] not in found and (
                not code[owners[place]] or self.quotes.may_hide(flat[place], int(covered[place]))
            ):
                found.add(owners[place])
        folded = folded_lines(flat)
        for size in self._tail_sizes:
            for place in [place for place, line in enumerate(folded) if line[-size:] in self._tails]:
                if owners[place] not in found and self._begins(flat[place]):
                    found.add(owners[place])
        whole = "".join(folded)
        if present := [line for line in self.quotes.folded if line in whole]:
            start = 0
            for number, own in enumerate(lines):
                packed = "".join(folded[start : start + len(own)])
                start += len(own)
                if number not in found and any(line in packed for line in present):
                    found.add(number)
        return found

    def _begins(self, line: str) -> bool:
        """Whether a line is masked for itself, or may stand above a gap."""
        return any(form in self.gaps or self.strength.get(form) == _STRONG for form in _forms(line) if form)

    def mask(self, text: str, code: bool = False) -> str:
        """The text with every edited line, gap and quotation replaced; runs of masked lines become one.

        In prose a quotation is cut out where it stands. In `code` (a view, a traceback, what a command printed) a
        line is masked whole or not at all: what is left of a line tells which one it was.
        """
        lines = text.split("\n")
        folded = folded_lines(lines)
        quoted = self.quotes.lines(text, lines, folded) if code else set[int]()
        masked = "\n".join(self._mask_lines(lines, folded, quoted)) if self.strength else text
        if not code:
            for start, end in reversed(self.quotes.spans(masked)):
                masked = masked[:start] + REGION + masked[end:]
        return masked

    def _mask_lines(self, lines: Sequence[str], folded: Sequence[str], quoted: Collection[int]) -> Sequence[str]:
        forms = [self._forms(line, packed) for line, packed in zip(lines, folded, strict=True)]
        hidden = [
            index in quoted or any(self.strength.get(form) == _STRONG for form in found if form)
            for index, found in enumerate(forms)
        ]
        opened = self._fill_gaps(forms, hidden)
        if not opened and not any(hidden):
            return lines
        weak = [any(self.strength.get(form) == _WEAK for form in found if form) for found in forms]
        # Blank lines neither part nor are parts of what is masked: two versions of a file may differ in them.
        solid = [index for index, found in enumerate(forms) if "" not in found]
        for order in (solid, solid[::-1]):
            for neighbour, index in pairwise(order):
                hidden[index] = hidden[index] or (weak[index] and hidden[neighbour])
        for above, below in pairwise(solid):
            if hidden[above] and (hidden[below] or (below == above + 1 and _CARETS.match(lines[below]))):
                hidden[above + 1 : below + 1] = [True] * (below - above)
        shown: list[str] = []
        for index, line in enumerate(lines):
            if index in opened and not (index and hidden[index - 1]) and not hidden[index]:
                shown.append(REGION)
            if not hidden[index]:
                shown.append(line)
            elif not (index and hidden[index - 1]):
                shown.append(REGION)
        return shown

    def _forms(self, line: str, folded: str) -> Sequence[str]:
        """`_forms` of a line, and none of a line that ends like no line that matters."""
        last = folded[-1:]
        if last not in _BLANK_ENDS and not any(folded[-size:] in self._tails for size in self._tail_sizes):
            return () if not last.isdecimal() else _forms(line)
        found = self._known_forms.get(line)
        if found is None:
            found = self._known_forms[line] = _forms(line)
        return found

    def _fill_gaps(self, forms: Sequence[Sequence[str]], hidden: list[bool]) -> set[int]:
        """Hide what stands between the two neighbours of a change; where nothing does, say where a mask belongs.

        So a missing line is masked like a present one: whether a bug's lines are there would tell the tasks apart.
        """
        opened: set[int] = set()
        if self.gaps.keys().isdisjoint(form for found in forms for form in found):
            return opened
        filled = [index for index, found in enumerate(forms) if "" not in found]
        for place, index in enumerate(filled):
            for gap in (gap for form in forms[index] for gap in self.gaps.get(form, ())):
                for between in gap.between:
                    window = filled[place + 1 : place + 2 + len(between)]
                    wanted = [*between, gap.after]
                    if len(window) == len(wanted) and all(
                        line in forms[at] for line, at in zip(wanted, window, strict=True)
                    ):
                        for at in window[:-1]:
                            hidden[at] = True
                        if not between:
                            opened.add(window[0])
        return opened


def _is_telling(line: str) -> bool:
    """Whether a line of more than four characters says more than `else:` or `return`."""
    return len(fold(line)) > 4 and any(not keyword.iskeyword(word) for word in _WORD.findall(line))


def _packed(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(folded for line in lines if (folded := fold(line)))


def _neighbours(hunk: Hunk, change: Change) -> tuple[str, str]:
    """The nearest context lines above and below a change that are not blank; "" where the hunk has none."""
    old = hunk.old_start
    above: list[str] = []
    below: list[str] = []
    end = change.old_line + len(change.removed)
    for sign, text in hunk.lines:
        if sign == " " and fold(text):
            (above if old < change.old_line else below if old >= end else []).append(fold(text))
        old += sign != "+"
    return (above[-1] if above else ""), (below[0] if below else "")


def _forms(line: str) -> list[str]:
    """The folded line, with and without what may stand in front of code."""
    found = [fold(line)]
    for prefix in PREFIXES:
        match = prefix.match(line)
        if match:
            rest = line[match.end() :]
            found.append(fold(rest))
            sign = PREFIXES[1].match(rest) or PREFIXES[2].match(rest)
            if sign:
                found.append(fold(rest[sign.end() :]))
    return found
