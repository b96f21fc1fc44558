"""The edited regions of patches, before and after, and their replacement wherever a text shows them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from contextrl_data.stages.coding.inline import PREFIXES, Quotes
from contextrl_data.stages.coding.patches import Change, FilePatch, Hunk
from contextrl_data.stages.coding.sieve import Endings, Sieve
from contextrl_data.stages.lexical import fold

REGION = "<REGION_MASKED>"
WEAK, STRONG, GAP, BLANK = 1, 2, 4, 8
"""What a line is by itself. Weak ones are masked beside another, strong ones anywhere; behind a gap there may be a
change; blank ones neither part nor are parts of what is masked."""

# Python 3.11 and later, and pytest, underline the failing part of the line above.
_CARETS = re.compile(r"^[E>|]?[ \t]*[~^]+[ \t~^]*\r?$")
_WORD = re.compile(r"[^\W\d]\w*")


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
    """Folded changed line -> `STRONG` or `WEAK`."""
    gaps: dict[str, list[_Gap]] = field(default_factory=dict)
    """Folded context line above a change -> the changes below it."""
    sieve: Sieve = field(default_factory=lambda: Sieve(()))
    """Finds where edited lines may be quoted."""
    endings: Endings = field(default_factory=lambda: Endings(()))
    """Finds the lines that may be strong, or have a gap behind them."""
    _known: dict[str, int] = field(default_factory=dict)
    """Kinds of the lines that were met: the sides of a pair show many lines over and over."""

    @classmethod
    def of(cls, files: Iterable[FilePatch], run_chars: int = 12, bound: int = 12) -> Regions:
        """Collect the changed lines of all files."""
        hunks = [hunk for file in files for hunk in file.hunks]
        lines = [text for hunk in hunks for sign, text in hunk.lines if sign != " "]
        regions = cls(Quotes.of(dict.fromkeys(lines), run_chars, bound))
        for line in lines:
            regions.strength[fold(line)] = STRONG if _is_telling(line) else WEAK
        for hunk in hunks:
            regions._add_gaps(hunk)
        regions.sieve = Sieve(regions.strength)
        strong = [line for line, strength in regions.strength.items() if strength == STRONG]
        regions.endings = Endings([*strong, *regions.gaps])
        return regions

    def _add_gaps(self, hunk: Hunk) -> None:
        for change in hunk.changes():
            before, after = _neighbours(hunk, change)
            if before and after:
                gap = _Gap(after, (_packed(change.removed), _packed(change.added)))
                if gap not in self.gaps.setdefault(before, []):
                    self.gaps[before].append(gap)

    def kind(self, line: str) -> int:
        """What a line is by itself: any of `STRONG`, `WEAK`, `GAP` and `BLANK`."""
        known = self._known.get(line)
        if known is None:
            known = 0
            for form in _forms(line):
                if not form:
                    known |= BLANK
                    continue
                known |= self.strength.get(form, 0)
                if form in self.gaps:
                    known |= GAP
            self._known[line] = known
        return known

    def mask_lines(self, lines: Sequence[str], telling: Collection[int], quoted: Collection[int]) -> list[str]:
        """The lines with whatever is edited replaced; runs of masked lines become one.

        `telling`: numbers of all lines that are strong or have a gap behind them; `quoted`: of other lines to mask.
        """
        hidden = {number for number in telling if self.kind(lines[number]) & STRONG}.union(quoted)
        opened: set[int] = set()
        for number in sorted(telling):
            if self.kind(lines[number]) & GAP:
                self._fill_gap(lines, number, hidden, opened)
        for step in (1, -1):
            for number in sorted(hidden, reverse=step < 0):
                if not self.kind(lines[number]) & BLANK:
                    self._spread(lines, number, step, hidden)
        self._bridge(lines, hidden)
        return list(_shown(lines, hidden, opened))

    def _solid(self, lines: Sequence[str], number: int, step: int = 1) -> Iterator[int]:
        """Numbers of the lines below (or above) that are not blank. Two versions of a file may differ in blank ones."""
        number += step
        while 0 <= number < len(lines):
            if not self.kind(lines[number]) & BLANK:
                yield number
            number += step

    def _fill_gap(self, lines: Sequence[str], number: int, hidden: set[int], opened: set[int]) -> None:
        """Hide what stands between the two neighbours of a change; where nothing does, say where a mask belongs.

        So a missing line is masked like a present one: whether a bug's lines are there would tell the tasks apart.
        """
        if self.kind(lines[number]) & BLANK:
            return
        for gap in (gap for form in _forms(lines[number]) for gap in self.gaps.get(form, ())):
            for between in gap.between:
                wanted = [*between, gap.after]
                window = [at for _, at in zip(wanted, self._solid(lines, number), strict=False)]
                if len(window) == len(wanted) and all(
                    line in _forms(lines[at]) for line, at in zip(wanted, window, strict=True)
                ):
                    hidden.update(window[:-1])
                    if not between:
                        opened.add(window[0])

    def _spread(self, lines: Sequence[str], number: int, step: int, hidden: set[int]) -> None:
        """Hide the weak lines next to a hidden one."""
        for beside in self._solid(lines, number, step):
            if beside in hidden or not self.kind(lines[beside]) & WEAK:
                return
            hidden.add(beside)

    def _bridge(self, lines: Sequence[str], hidden: set[int]) -> None:
        """Hide blank lines between hidden ones, and what underlines these."""
        for number in sorted(hidden):
            if self.kind(lines[number]) & BLANK:
                continue
            for below in self._solid(lines, number):
                if below not in hidden and not (below == number + 1 and _CARETS.match(lines[below])):
                    break
                known = below in hidden
                hidden.update(range(number + 1, below + 1))
                if known:
                    break
                number = below


def _shown(lines: Sequence[str], hidden: Collection[int], opened: Collection[int]) -> Iterator[str]:
    """The lines that stay, and one mask for every run of hidden ones and for every opened place between others."""
    position = 0
    for number in sorted({*hidden, *opened}):
        yield from lines[position:number]
        if number - 1 not in hidden:
            yield REGION
        position = number + (number in hidden)
    yield from lines[position:]


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
