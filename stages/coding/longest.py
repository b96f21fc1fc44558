"""The longest stretches of given lines in a text without white space: by runs of eight bytes, then exactly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

_RUN = 8
"""Characters of the shortest stretch that counts, and bytes that are looked at together."""
_BITS = 16
_MIX = np.uint64(0x9E3779B97F4A7C15)
_PIECE = 1 << 14

Runs = npt.NDArray[np.uint64]


def longest_runs(lines: Sequence[str], folded: bytes, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Length of the longest stretch of any line found in the first `size` bytes of a text, and that line's length.

    Lines and text have no white space, the text is UTF-8; lengths are characters, and stretches below eight count 0.
    """
    wanted = [line for line in lines if len(line) >= _RUN]
    known = np.unique(np.concatenate([*map(_runs, map(_encoded, wanted)), np.zeros(0, np.uint64)]))
    places = _places(known, _runs(folded))
    return [_longest(wanted, folded, places[places <= size - _RUN]) for size in sizes]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _runs(data: bytes) -> Runs:
    """Every run of eight bytes, as a number."""
    return np.ndarray((max(len(data) - _RUN + 1, 0),), "<u8", data, strides=(1,))


def _keys(runs: Runs) -> npt.NDArray[np.intp]:
    return (runs * _MIX >> np.uint64(64 - _BITS)).astype(np.intp)


def _places(known: Runs, shown: Runs) -> npt.NDArray[np.intp]:
    """Where one of the known runs is shown."""
    found = [np.zeros(0, np.intp)]
    # Most of what is shown is told apart by a few mixed bits, in one look at a small table.
    table = np.zeros(1 << _BITS, bool)
    table[_keys(known)] = True
    for start in range(0, len(shown) if len(known) else 0, _PIECE):
        maybe = np.flatnonzero(table[_keys(shown[start : start + _PIECE])]) + start
        runs = shown[maybe]
        found.append(maybe[known[np.minimum(np.searchsorted(known, runs), len(known) - 1)] == runs])
    return np.concatenate(found)


def _longest(lines: Sequence[str], folded: bytes, places: npt.NDArray[np.intp]) -> tuple[int, int]:
    """The longest stretch where known runs stand at these places only."""
    if not len(places):
        return 0, 0
    borders = np.flatnonzero(np.diff(places) > 1)
    firsts = places[np.append(0, borders + 1)].tolist()
    lasts = places[np.append(borders, len(places) - 1)].tolist()
    # Line ends, which no folded line has, part what does not belong together.
    shown = b"\n".join(dict.fromkeys(folded[first : last + _RUN] for first, last in zip(firsts, lasts, strict=True)))
    best, best_line = 0, 0
    for line in lines:
        data = _encoded(line)
        offsets = range(len(line) + 1) if line.isascii() else list(accumulate(map(len, map(_encoded, line)), initial=0))
        start = 0
        while (end := start + max(best + 1, _RUN)) <= len(line):
            if data[offsets[start] : offsets[end]] in shown:
                best, best_line = end - start, len(line)
            else:
                start += 1
    return best, best_line
