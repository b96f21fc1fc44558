"""The edited regions of patches, before and after, and their replacement wherever a text shows them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from contextrl_data.stages.coding.inline import PREFIXES, Quotes
from contextrl_data.stages.coding.patches import Change, FilePatch, Hunk
from contextrl_data.stages.coding.sieve import Sieve
from contextrl_data.stages.lexical import fold, folded_lines

REGION = "<REGION_MASKED>"

# Python 3.11 and later, and pytest, underline the failing part of the line above.
_CARETS = re.compile(r"^[E>|]?[ \t]*[~^]+[ \t~^]*\r?$")
_WORD = re.compile(r"[^\W\d]\w*")
_WEAK, _STRONG, _GAP, _BLANK = 1, 2, 4, 8
_TAIL = 6
_BLANK_ENDS = frozenset(["", *"0123456789:|-+>E."])
"""How a line without white space ends that may show nothing but what stands in front of code; or in another digit."""
_FRONT = [prefix.pattern.removeprefix("^") for prefix in PREFIXES]
_MAYBE_BLANK = re.compile(rf"\s*(?:(?:{'|'.join(_FRONT)})(?:{_FRONT[1]}|{_FRONT[2]})?)?\s*")
"""Such a line."""


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
    _ends: frozenset[str] = frozenset()
    """Last characters of the tails, and those of lines that may be blank."""
    _known: dict[str, int] = field(default_factory=dict)
    """What is known of lines that were met: the sides of a pair show many lines over and over."""
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
        regions._ends = frozenset(tail[-1:] for tail in regions._tails) | _BLANK_ENDS
        return regions

    def _add_gaps(self, hunk: Hunk) -> None:
        for change in hunk.changes():
            before, after = _neighbours(hunk, change)
            if before and after:
                gap = _Gap(after, (_packed(change.removed), _packed(change.added)))
                if gap not in self.gaps.setdefault(before, []):
                    self.gaps[before].append(gap)

    def mask(self, text: str, code: bool = False) -> str:
        """The text with every edited line, gap and quotation replaced; runs of masked lines become one.

        In prose a quotation is cut out where it stands. In `code` (a view, a traceback, what a command printed) a
        line is masked whole or not at all: what is left of a line tells which one it was.
        """
        if not self.strength:
            return text
        lines = text.split("\n")
        quoted = self.quotes.lines(text, lines, folded_lines(lines)) if code else set[int]()
        return self._masked(lines, list(map(self._kind, lines)), quoted, prose=not code)

    def mask_all(self, texts: Sequence[str], code: Sequence[bool]) -> list[str]:
        """Every text as `mask` would give it, sooner: most lines are told at one look at all of them."""
        if self._sieve is None or not self.strength or not texts:
            return list(texts)
        parts = [text.split("\n") for text in texts]
        flat = list(chain.from_iterable(parts))
        folded = folded_lines(flat)
        kinds = self._kinds(flat, folded)
        covered = self._sieve.covered(flat)
        ends = np.cumsum([len(lines) for lines in parts])
        quoted_in = self._long_lines(folded, ends)
        looked = np.flatnonzero((np.array(kinds, np.uint8) & (_STRONG | _GAP)) | (covered > 0))
        touched = {*np.searchsorted(ends, looked, side="right").tolist(), *quoted_in}
        shown = list(texts)
        for number in touched:
            own = slice(int(ends[number]) - len(parts[number]), int(ends[number]))
            present = quoted_in.get(number, [])
            quotes = bool(present) or bool(covered[own].any())
            hidden = set[int]()
            if code[number] and quotes:
                packed = "".join(folded[own])
                hidden = self.quotes.lines_near(texts[number], parts[number], packed, present, covered[own])
            prose = quotes and not code[number]
            shown[number] = self._masked(parts[number], kinds[own], hidden, prose)
        return shown

    def _long_lines(self, folded: Sequence[str], ends: npt.NDArray[np.intp]) -> dict[int, list[str]]:
        """The long edited lines that each part shows, whatever its spacing; `ends`: where the parts' lines end."""
        whole = "".join(folded)
        present = [line for line in self.quotes.folded if line in whole]
        if not present:
            return {}
        borders = np.cumsum(np.fromiter(map(len, folded), np.intp, len(folded)))[np.maximum(ends, 1) - 1]
        found: dict[int, list[str]] = {}
        for line in present:
            start = whole.find(line)
            while start >= 0:
                number = int(np.searchsorted(borders, start, side="right"))
                inside = start + len(line) <= borders[number]
                if inside:
                    found.setdefault(number, []).append(line)
                # On to the next part; where the match runs over a border, to the next match.
                start = whole.find(line, int(borders[number]) if inside else start + 1)
        return found

    def _masked(self, lines: Sequence[str], kinds: Sequence[int], quoted: Collection[int], prose: bool) -> str:
        masked = "\n".join(self._mask_lines(lines, kinds, quoted))
        if prose:
            for start, end in reversed(self.quotes.spans(masked)):
                masked = masked[:start] + REGION + masked[end:]
        return masked

    def _mask_lines(self, lines: Sequence[str], kinds: Sequence[int], quoted: Collection[int]) -> Sequence[str]:
        hidden = [kind & _STRONG > 0 for kind in kinds]
        for index in quoted:
            hidden[index] = True
        opened = self._fill_gaps(lines, kinds, hidden)
        if not opened and not any(hidden):
            return lines
        # Blank lines neither part nor are parts of what is masked: two versions of a file may differ in them.
        solid = [index for index, kind in enumerate(kinds) if not kind & _BLANK]
        for order in (solid, solid[::-1]):
            for neighbour, index in pairwise(order):
                if hidden[neighbour] and kinds[index] & _WEAK:
                    hidden[index] = True
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

    def _kind(self, line: str) -> int:
        """What a line is by itself: any of `_STRONG`, `_WEAK`, `_GAP` (a change may follow it) and `_BLANK`."""
        kind = 0
        for form in _forms(line):
            if not form:
                kind |= _BLANK
                continue
            kind |= self.strength.get(form, 0)
            if form in self.gaps:
                kind |= _GAP
        return kind

    def _kinds(self, lines: Sequence[str], folded: Sequence[str]) -> list[int]:
        """`_kind` of every line. A line that ends like none that matters is nothing, and is not looked at."""
        known, ends, tails = self._known, self._ends, self._tails
        new = {line: packed for line, packed in zip(lines, folded, strict=True) if line not in known}
        known.update(dict.fromkeys(new, 0))
        maybe = {line: packed for line, packed in new.items() if (last := packed[-1:]) in ends or last.isdecimal()}
        wanted = {line for line in maybe if _MAYBE_BLANK.fullmatch(line)}
        for size in self._tail_sizes:
            wanted.update([line for line, packed in maybe.items() if packed[-size:] in tails])
        for line in wanted:
            known[line] = self._kind(line)
        return list(map(known.__getitem__, lines))

    def _fill_gaps(self, lines: Sequence[str], kinds: Sequence[int], hidden: list[bool]) -> set[int]:
        """Hide what stands between the two neighbours of a change; where nothing does, say where a mask belongs.

        So a missing line is masked like a present one: whether a bug's lines are there would tell the tasks apart.
        """
        opened: set[int] = set()
        if not any(kind & _GAP for kind in kinds):
            return opened
        filled = [index for index, kind in enumerate(kinds) if not kind & _BLANK]
        for place, index in enumerate(filled):
            if not kinds[index] & _GAP:
                continue
            for gap in (gap for form in _forms(lines[index]) for gap in self.gaps.get(form, ())):
                for between in gap.between:
                    window = filled[place + 1 : place + 2 + len(between)]
                    wanted = [*between, gap.after]
                    if len(window) == len(wanted) and all(
                        line in _forms(lines[at]) for line, at in zip(wanted, window, strict=True)
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
    found = ["".join(line.split())]
    for prefix in PREFIXES:
        match = prefix.match(line)
        if match:
            rest = line[match.end() :]
            found.append("".join(rest.split()))
            sign = PREFIXES[1].match(rest) or PREFIXES[2].match(rest)
            if sign:
                found.append("".join(rest[sign.end() :].split()))
    return found
