"""Where a text may show edited lines at all: cheap looks at all of it, before any part is read with care.

Texts are UTF-8 without white space, as `folded_bytes` gives them. A superset is found, never less.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

SHORTEST = 4
"""Bytes that are looked at together: no run of four code tokens has fewer."""
_BITS = 16
_MIX = np.uint32(0x9E3779B1)
_PIECE = 1 << 14
_MAY_END_PREFIX = np.array([code >= 128 or chr(code) in "0123456789:|-+>E." for code in range(256)])
"""Bytes that what stands in front of a line of code may end with; digits need not be ASCII."""

Places = npt.NDArray[np.intp]


def _runs(data: bytes) -> npt.NDArray[np.uint32]:
    """Every run of four bytes, as a number."""
    return np.ndarray((max(len(data) - SHORTEST + 1, 0),), "<u4", data, strides=(1,))


def _keys(runs: npt.NDArray[np.uint32]) -> Places:
    mixed = runs * _MIX
    mixed >>= np.uint32(32 - _BITS)
    return mixed.astype(np.intp)


def _table(runs: Iterable[bytes]) -> npt.NDArray[np.bool_]:
    """Whether a key is that of any run inside these."""
    table = np.zeros(1 << _BITS, bool)
    for data in runs:
        table[_keys(_runs(data))] = True
    return table


class Sieve:
    """The runs of four bytes inside folded edited lines."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._table = _table(line.encode("utf-8", "surrogatepass") for line in lines)

    def covered(self, data: bytes, least: int) -> tuple[Places, Places]:
        """Beginnings and ends of the stretches of at least `least` bytes that such runs cover without a gap."""
        runs = _runs(data)
        found = [
            np.flatnonzero(self._table[_keys(runs[start : start + _PIECE])]) + start
            for start in range(0, len(runs), _PIECE)
        ]
        hits = np.concatenate([np.zeros(0, np.intp), *found])
        borders = np.flatnonzero(np.diff(hits) > SHORTEST)
        starts = hits[np.append(0, borders + 1)] if len(hits) else hits
        ends = hits[np.append(borders, len(hits) - 1)] + SHORTEST if len(hits) else hits
        long = ends - starts >= least
        return starts[long], ends[long]


class Endings:
    """Folded lines that others may end in, behind numbers, signs and marks."""

    def __init__(self, lines: Iterable[str]) -> None:
        packed = [line.encode("utf-8", "surrogatepass") for line in dict.fromkeys(lines)]
        long = [line for line in packed if len(line) >= 2 * SHORTEST]
        middle = [line for line in packed if SHORTEST <= len(line) < 2 * SHORTEST]
        self._last = _table(line[-SHORTEST:] for line in [*long, *middle])
        self._only = _table(line[-SHORTEST:] for line in middle)
        self._second = _table(line[-2 * SHORTEST : -SHORTEST] for line in long)
        self._short = [line for line in packed if 0 < len(line) < SHORTEST]

    def of(self, data: bytes, ends: Places) -> Places:
        """Numbers of the lines that may end so, by where each line of the text ends."""
        runs = _runs(data)
        numbers = np.flatnonzero(ends >= SHORTEST)
        last = _keys(runs[ends[numbers] - SHORTEST])
        maybe = self._last[last]
        numbers, last = numbers[maybe], last[maybe]
        second = _keys(runs[np.maximum(ends[numbers] - 2 * SHORTEST, 0)]) if len(numbers) else last
        found = [numbers[self._only[last] | self._second[second]]]
        if self._short:
            found += self._short_ones(np.frombuffer(data, np.uint8), ends)
        return np.unique(np.concatenate(found))

    def _short_ones(self, codes: npt.NDArray[np.uint8], ends: Places) -> Iterable[Places]:
        starts = np.concatenate([np.zeros(1, np.intp), ends[:-1]])
        for line in self._short:
            numbers = np.flatnonzero(ends - starts >= len(line))
            for step, code in enumerate(reversed(line), 1):
                numbers = numbers[codes[ends[numbers] - step] == code]
            front = ends[numbers] - len(line)
            whole = front == starts[numbers]
            yield numbers[whole | _MAY_END_PREFIX[codes[np.maximum(front - 1, 0)]]]
