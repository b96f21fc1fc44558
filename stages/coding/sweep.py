"""Masks the edited regions in many texts at once: one cheap look at all of them tells which lines to read with care."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np

from contextrl_data.stages.coding.inline import LONG, Quotes, share_needed
from contextrl_data.stages.coding.regions import GAP, REGION, STRONG, Regions
from contextrl_data.stages.coding.sieve import SHORTEST
from contextrl_data.stages.lexical import folded_bytes


def mask_all(regions: Regions, texts: Sequence[str], code: Sequence[bool]) -> list[str]:
    """Every text with each edited line, gap and quotation replaced; runs of masked lines become one.

    In prose a quotation is cut out where it stands. In `code` (a view, a traceback, what a command printed) a line is
    masked whole or not at all: what is left of a line tells which one it was.
    """
    shown = list(texts)
    if regions.strength and texts:
        for number, text in _Sweep(regions, texts, code).masked():
            shown[number] = text
    return shown


class _Sweep:
    """The texts as one without white space, and what was found in them, by text; lines count from the text's first."""

    def __init__(self, regions: Regions, texts: Sequence[str], code: Sequence[bool]) -> None:
        self._regions, self._texts, self._code = regions, texts, code
        packed = folded_bytes("\n".join(texts), line_ends=True)
        feeds = np.flatnonzero(np.frombuffer(packed, np.uint8) == ord("\n"))
        self._data = packed.translate(None, b"\n")
        ends = np.append(feeds - np.arange(len(feeds)), len(self._data))
        self._ends: list[int] = ends.tolist()
        """Where each line ends in the data."""
        self._first = list(accumulate((text.count("\n") + 1 for text in texts), initial=0))
        """The number among all lines of each text's first line."""
        self._split: dict[int, list[str]] = {}
        self._needed: dict[str, float] = {}
        self._covers: dict[str, bool] = {}
        self._strong: set[int] = set()
        self._telling: dict[int, list[int]] = defaultdict(list)
        """Lines that are strong, or have a gap behind them."""
        self._quoted: dict[int, set[int]] = defaultdict(set)
        """Lines of code that quote edited ones."""
        self._present: dict[int, list[str]] = defaultdict(list)
        """The long edited lines that a prose text shows."""
        self._stretches: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """First and last lines in prose that may quote by tokens."""
        for number in regions.endings.of(self._data, ends).tolist():
            part = self._part(number)
            line = number - self._first[part]
            kind = regions.kind(self._lines(part)[line])
            if kind & (STRONG | GAP):
                self._telling[part].append(line)
            if kind & STRONG:
                self._strong.add(number)
        for text in regions.quotes.folded:
            self._find_whole(text)
        for group in self._groups(ends):
            self._look_at(group)

    def masked(self) -> Iterator[tuple[int, str]]:
        """The texts in which something was found, masked, with their numbers."""
        for part in {*self._telling, *self._quoted, *self._present, *self._stretches}:
            lines, telling = self._lines(part), self._telling.get(part, ())
            text = self._texts[part]
            if telling or part in self._quoted:
                text = "\n".join(self._regions.mask_lines(lines, telling, self._quoted.get(part, ())))
            if part in self._present or part in self._stretches:
                for start, end in reversed(self._spans(part, text)):
                    text = text[:start] + REGION + text[end:]
            yield part, text

    def _spans(self, part: int, text: str) -> list[tuple[int, int]]:
        """What is quoted in a prose text of which whole lines may have been masked."""
        quotes: Quotes = self._regions.quotes
        if part in self._telling:
            return quotes.spans(text)
        lines = self._lines(part)
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        stretches = ((starts[top], "\n".join(lines[top : last + 1])) for top, last in self._stretches.get(part, ()))
        return quotes.spans_near(text, stretches, self._present.get(part, ()))

    def _part(self, number: int) -> int:
        return bisect_right(self._first, number) - 1

    def _lines(self, part: int) -> list[str]:
        lines = self._split.get(part)
        if lines is None:
            lines = self._split[part] = self._texts[part].split("\n")
        return lines

    def _find_whole(self, text: str) -> None:
        """Find a long edited line wherever it stands within one text, across line ends and whatever its spacing."""
        wanted = text.encode("utf-8", "surrogatepass")
        place = self._data.find(wanted)
        while place >= 0:
            number, stop = bisect_right(self._ends, place), place + len(wanted)
            part = self._part(number)
            border = self._ends[self._first[part + 1] - 1]
            if stop > border:
                stop = place + 1
            elif self._code[part]:
                last = bisect_right(self._ends, stop - 1)
                lines = [at for at in range(number, last + 1) if not at or self._ends[at] > self._ends[at - 1]]
                self._quoted[part].update(at - self._first[part] for at in lines)
            else:
                self._present[part].append(text)
                stop = border
            place = self._data.find(wanted, stop)

    def _groups(self, ends: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Iterator[dict[int, int]]:
        """Neighbouring lines that may quote edited ones by tokens, with the bytes of each that do: a superset."""
        least = self._regions.quotes.least
        if least < SHORTEST:  # too little to be told: everything is looked at
            yield dict.fromkeys(range(len(ends)), LONG)
            return
        starts, stops = self._regions.sieve.covered(self._data, least)
        tops = np.searchsorted(ends, starts, "right").tolist()
        bottoms = np.searchsorted(ends, stops - 1, "right").tolist()
        group: dict[int, int] = {}
        for start, stop, top, bottom in zip(starts.tolist(), stops.tolist(), tops, bottoms, strict=True):
            if group and top not in group:
                yield group
                group = {}
            while top < bottom:
                group[top] = group.get(top, 0) + self._ends[top] - start
                start, top = self._ends[top], top + 1
            group[top] = group.get(top, 0) + stop - start
        if group:
            yield group

    def _look_at(self, group: dict[int, int]) -> None:
        """Read neighbouring lines with care: those of code at once, those of prose when all else in it is masked."""
        numbers = list(group)
        while numbers:
            part = self._part(numbers[0])
            first, border = self._first[part], self._first[part + 1]
            own = [number - first for number in numbers if number < border]
            numbers = numbers[len(own) :]
            if not self._code[part]:
                self._stretches[part].append((own[0], own[-1]))
            elif any(self._may_be_covered(part, line, group[first + line]) for line in own):
                self._cover(part, own[0], own[-1] + 1)

    def _may_be_covered(self, part: int, number: int, size: int) -> bool:
        """Whether so much of a line may quote edited ones that it is to be masked, and is not yet."""
        if self._first[part] + number in self._strong or number in self._quoted.get(part, ()):
            return False
        if size >= LONG:
            return True
        line = self._lines(part)[number]
        if line not in self._needed:
            self._needed[line] = share_needed(line)
        return size >= self._needed[line]

    def _cover(self, part: int, top: int, end: int) -> None:
        lines = self._lines(part)[top:end]
        if len(lines) > 1:
            self._quoted[part].update(top + line for line in self._regions.quotes.covers(lines))
            return
        if lines[0] not in self._covers:
            self._covers[lines[0]] = bool(self._regions.quotes.covers(lines))
        if self._covers[lines[0]]:
            self._quoted[part].add(top)
