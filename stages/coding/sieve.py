"""Which of many texts may quote an edited line at all: one cheap look at all of them, before any is read with care.

A superset is found, never less. Tokens here are finer than those of `Quotes` (runs of ASCII word characters, else single
characters), so that whatever is a run of tokens there is one here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

_GRAM = 4
_BITS = 16
_ASCII_WORD = np.array([chr(code).isalnum() or chr(code) == "_" for code in range(128)])
_ASCII_BLANK = np.array([chr(code).isspace() for code in range(128)])
_BLANKS = np.array([code for code in range(128, 0x3001) if chr(code).isspace()], np.uint32)
_FIRST = np.uint64(6364136223846793005)
_NUMBERS = np.cumprod(np.full(128, _FIRST, np.uint64), dtype=np.uint64) * ~_ASCII_BLANK
_STEPS = np.array([1, 1442695040888963407, 2862933555777941757, 3202034522624059733], np.uint64)

Hashes = npt.NDArray[np.uint64]


def _tokens(text: str) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Hashes]:
    """Of every token: where it begins, how long it is, and a number; equal tokens have equal numbers."""
    if text.isascii():
        codes = np.frombuffer(text.encode(), np.uint8)
        word, solid, numbers = _ASCII_WORD[codes], ~_ASCII_BLANK[codes], _NUMBERS[codes]
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        plain = np.minimum(codes, 127)
        word = _ASCII_WORD[plain] & (codes < 128)
        solid = np.where(codes < 128, ~_ASCII_BLANK[plain], ~np.isin(codes, _BLANKS))
        numbers = np.where(codes < 128, _NUMBERS[plain], codes.astype(np.uint64) * _FIRST) * solid
    inside = word[1:] & word[:-1]
    first = solid.copy()
    first[1:] &= ~inside
    starts = np.flatnonzero(first)
    if not len(starts):
        return starts, starts, np.zeros(0, np.uint64)
    # Behind a token stands blank space or the next one: sums up to there are its own. Equal letters in another order
    # give one number too, which costs a closer look and hides nothing.
    ends = np.append(starts[1:], len(codes))
    values = np.concatenate([np.zeros(1, np.uint64), np.cumsum(numbers)])
    counts = np.concatenate([np.zeros(1, np.intp), np.cumsum(solid, dtype=np.intp)])
    sizes = counts[ends] - counts[starts]
    return starts, sizes, values[ends] - values[starts] + codes[starts].astype(np.uint64) * _FIRST


def _grams(hashes: Hashes) -> Hashes:
    """A number for every run of four tokens."""
    size = max(len(hashes) - _GRAM + 1, 0)
    found = np.zeros(size, np.uint64)
    for step, weight in enumerate(_STEPS):
        found += hashes[step : step + size] * weight
    return found ^ (found >> np.uint64(29))


class Sieve:
    """The runs of four tokens inside edited lines."""

    def __init__(self, lines: Iterable[str], run_chars: int) -> None:
        self._wanted = np.unique(_grams(_tokens("\n".join(lines))[2]))
        self._low = np.zeros(1 << _BITS, bool)
        self._low[(self._wanted & np.uint64((1 << _BITS) - 1)).astype(np.intp)] = True
        self._run_chars = run_chars

    def covered(self, lines: Sequence[str]) -> npt.NDArray[np.intp]:
        """Of every line, the non-blank characters in such runs of at least `run_chars` characters.

        The lines are read as one text: a run may go on from one into the next.
        """
        nothing = np.zeros(len(lines), np.intp)
        if not len(self._wanted) or not lines:
            return nothing
        text = "\n".join(lines)
        starts, sizes, hashes = _tokens(text)
        grams = _grams(hashes)
        maybe = np.flatnonzero(self._low[(grams & np.uint64((1 << _BITS) - 1)).astype(np.intp)])
        places = np.minimum(np.searchsorted(self._wanted, grams[maybe]), len(self._wanted) - 1)
        hits = maybe[self._wanted[places] == grams[maybe]]
        if not len(hits):
            return nothing
        inside = np.zeros(len(starts) + 1, np.int8)
        for step in range(_GRAM):
            inside[hits + step] = 1
        edges = np.diff(inside, prepend=np.int8(0))
        first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        total = np.concatenate([[0], np.cumsum(sizes)])
        long = (total[last] - total[first]) >= self._run_chars
        lengths = (last - first)[long]
        # The tokens of all long runs, as one list of places.
        tokens = np.arange(lengths.sum()) + np.repeat(first[long] - np.cumsum(lengths) + lengths, lengths)
        borders = np.cumsum(np.fromiter(map(len, lines), np.intp, len(lines)) + 1)
        numbers = np.searchsorted(borders, starts[tokens], side="right")
        return np.bincount(numbers, sizes[tokens], len(lines)).astype(np.intp)
