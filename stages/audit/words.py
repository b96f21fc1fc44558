"""A text as numbers: hashed words, word n-grams and a sketch of them, made once and used by several checks."""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+")
_SPACES = re.compile(r"[\w\s]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: odd, bits well spread
SHINGLE = 5
SKETCH = 1024
"""Smallest shingle hashes that are kept of a text (a bottom-k sketch)."""
WORD_BITS = 22

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TextSketch:
    """What the checks need of one text."""

    key: str
    """Digest of the text: equal texts have equal keys."""
    words: npt.NDArray[np.int32]
    """Hashes of its distinct words and signs, sorted."""
    sketch: Hashes
    """The `SKETCH` smallest hashes of its word 5-grams, sorted."""


class _Known(dict[str, int]):
    """Word -> 32-bit hash, the same in every process."""

    def __missing__(self, word: str) -> int:
        value = zlib.crc32(word.encode("utf-8", "replace"))
        if len(self) < 1_000_000:
            self[word] = value
        return value


_KNOWN = _Known()


def digest(text: str | bytes) -> str:
    """A key for equal contents."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def word_hashes(text: str) -> Hashes:
    """Hashes of the words of a text, in order."""
    return np.array([_KNOWN[word] for word in _WORD.findall(text)], np.uint64)


def ngram_hashes(text: str, size: int) -> Hashes:
    """Distinct hashes of all runs of `size` words, sorted; of the whole text where it is shorter."""
    words = word_hashes(text)
    return _ngrams(words, min(size, len(words)))


def _ngrams(words: Hashes, size: int) -> Hashes:
    if not size:
        return np.zeros(0, np.uint64)
    count = len(words) - size + 1
    mixed = np.zeros(count, np.uint64)
    for place in range(size):
        mixed = (mixed ^ words[place : place + count]) * _MULTIPLIER
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


@lru_cache(maxsize=64)
def sketch_text(text: str) -> TextSketch:
    """Sketch a text; remembered briefly, as both directions of a pair read the same two contexts."""
    words = word_hashes(text)
    shingles = _ngrams(words, min(SHINGLE, len(words)))
    return TextSketch(digest(text), distinct_words(text, words), shingles[:SKETCH].copy())


def distinct_words(text: str, words: Hashes | None = None) -> npt.NDArray[np.int32]:
    """Hashes of the distinct words and signs of a text, sorted; `words` are its word hashes, where they are known."""
    found = word_hashes(text) if words is None else words
    signs = np.array([_KNOWN[sign] for sign in sorted(set(_SPACES.sub("", text[:200_000])))], np.uint64)
    return np.unique(np.concatenate([found, signs]) & np.uint64((1 << WORD_BITS) - 1)).astype(np.int32)


def jaccard(one: Hashes, other: Hashes) -> float:
    """Estimated Jaccard similarity of two texts' 5-grams from their sketches; exact where both are whole."""
    union = np.union1d(one, other)
    if len(one) >= SKETCH or len(other) >= SKETCH:
        union = union[:SKETCH]
    if not len(union):
        return 1.0
    shared = np.intersect1d(one, other, assume_unique=True)
    return float(np.isin(union, shared, assume_unique=True).mean())
