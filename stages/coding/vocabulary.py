"""Which of some identifiers a text shows, and where first, without listing all of its own."""

from __future__ import annotations

import string
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_RUN = 4
_BITS = 18
_MIX = np.uint32(0x9E3779B1)
_PIECE = 1 << 14
_WORDS = bytes(code if chr(code) in string.ascii_letters + string.digits + "_" else 32 for code in range(256))
_DIGITS = string.digits.encode()
_BLANK = ord(" ")


class Vocabulary:
    """Identifiers, as `identifiers` gives them, to be looked for in texts."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)
        padded = [b" %b " % name.encode() for name in self._names]
        ends = np.cumsum([len(name) for name in padded], dtype=np.intp)
        # Runs of four bytes inside each name and its blanks, the first one aside: a number may stand in front of it.
        self._keys = _keys(_runs(b"".join(padded) + b" " * _RUN))
        self._bounds = np.column_stack([ends - [len(name) for name in padded] + 1, ends - _RUN + 1]).ravel()

    def places(self, text: str) -> dict[str, int]:
        """The identifiers that the text shows, and after how many bytes of its UTF-8 each first begins."""
        if not self._names:
            return {}
        words = b" %b    " % text.encode("utf-8", "surrogatepass").translate(_WORDS)
        shown = np.zeros(1 << _BITS, bool)
        runs = _runs(words)
        for start in range(0, len(runs), _PIECE):
            shown[_keys(runs[start : start + _PIECE])] = True
        maybe = np.logical_and.reduceat(shown[self._keys], self._bounds)[::2]
        found = ((self._names[number], _place(self._names[number].encode(), words)) for number in np.flatnonzero(maybe))
        return {name: place - 1 for name, place in found if place >= 0}


def _runs(data: bytes) -> npt.NDArray[np.uint32]:
    """Every run of four bytes, as a number."""
    return np.ndarray((len(data) - _RUN + 1,), "<u4", data, strides=(1,))


def _keys(runs: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    return (runs * _MIX >> np.uint32(32 - _BITS)).astype(np.intp)


def _place(name: bytes, words: bytes) -> int:
    """Where a name first is one of the words, or all of one behind a number (`2nd` shows `nd`); -1 where it never is."""
    place = words.find(name)
    while place >= 0:
        if words[place + len(name)] == _BLANK:
            front = place
            while words[front - 1] in _DIGITS:
                front -= 1
            if words[front - 1] == _BLANK:
                return place
        place = words.find(name, place + 1)
    return -1
