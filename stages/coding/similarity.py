"""Similarity of issues (TF-IDF) and of contexts (MinHash over lines), with well-kept libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from contextrl_data.pipeline.errors import MissingExtra

if TYPE_CHECKING:
    from datasketch import MinHash

_PERMUTATIONS = 128


class IssueSimilarity:
    """Cosine similarity of TF-IDF vectors, fitted on the texts it is given. Keys are instance ids."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError as error:
            raise MissingExtra("coding", "comparing issues") from error
        self._place = {key: place for place, key in enumerate(sorted(texts))}
        ordered = [texts[key] for key in self._place]
        # Without a single word there is nothing to compare, and scikit-learn refuses an empty vocabulary.
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b[A-Za-z_]\w+\b", norm="l2")
        try:
            self._vectors = vectorizer.fit_transform(ordered)
        except ValueError:
            self._vectors = None

    def __call__(self, one: str, other: str) -> float:
        """Cosine in 0..1; 0 where one of the texts has no words."""
        if self._vectors is None:
            return 0.0
        rows = self._vectors[[self._place[one], self._place[other]]]
        value = float((rows[0] @ rows[1].T).sum())
        # The last digits depend on the order of summation inside BLAS; a row must not.
        return round(min(max(value, 0.0), 1.0), 9)


def line_shingles(messages: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Pairs of neighbouring lines of a run, without its system prompt and task: what near-duplicates share."""
    lines: list[str] = []
    for message in messages[2:]:
        lines.extend(stripped for line in str(message["content"] or "").split("\n") if (stripped := line.strip()))
    # Surrogates cannot be encoded strictly, and a bad row is no reason to stop.
    return sorted({f"{one}\n{two}".encode("utf-8", "replace") for one, two in pairwise(lines)})


def signature(shingles: Iterable[bytes]) -> MinHash:
    """MinHash signature of a set of shingles."""
    try:
        from datasketch import MinHash
    except ImportError as error:
        raise MissingExtra("coding", "finding near-duplicates") from error
    made = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=_hash32)
    made.update_batch(list(shingles))
    return made


def _hash32(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "little")
