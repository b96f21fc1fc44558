"""The guesser that weighs words by how rare they are: it must have seen every context before it can score one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from contextrl_data.stages.audit.words import WORD_BITS, digest, distinct_words, word_hashes

NAME = "rare_words"

Words: TypeAlias = npt.NDArray[np.int32]
"""Hashes of distinct words, sorted."""


def shared_words(answer: str, contexts: Iterable[Words]) -> list[Words]:
    """The words of an answer that each of its contexts holds."""
    names = word_hashes(answer) & np.uint64((1 << WORD_BITS) - 1)
    wanted = np.unique(names).astype(np.int32)
    return [wanted[np.isin(wanted, context)] for context in contexts]


def rare_word_scores(contexts: Sequence[Words], shared: Sequence[Sequence[Words] | None]) -> npt.NDArray[np.float64]:
    """Per row: 1 where C+ holds more of the answer's words, each weighing as much as it is rare among the contexts.

    The weight is the smoothed inverse document frequency ln((1 + n) / (1 + n_word)) + 1, as in scikit-learn.

    Args:
        contexts: every distinct context once.
        shared: per row what `shared_words` gives for C+ and C-; None where the row has no texts, which scores NaN.
    """
    words, counts = np.unique(np.concatenate(contexts), return_counts=True)
    idf = np.log((1 + len(contexts)) / (1 + counts)) + 1.0
    scores = np.full(len(shared), np.nan)
    for place, sides in enumerate(shared):
        if sides is not None:
            right, wrong = (float(idf[np.searchsorted(words, side)].sum()) for side in sides)
            scores[place] = 0.5 if np.isclose(right, wrong, rtol=1e-9) else float(right > wrong)
    return scores


class RareWords:
    """Takes rows one by one, and scores them all at the end. Holds words, not texts."""

    def __init__(self) -> None:
        self._contexts: dict[str, Words] = {}
        self._shared: dict[str, list[Words]] = {}

    def add(self, row_id: str, answer: str, right: str, wrong: str) -> None:
        """Take a row: its answer, C+ and C-."""
        self._shared[row_id] = shared_words(answer, [self._words(right), self._words(wrong)])

    def scores(self) -> dict[str, float]:
        """Score by row id."""
        if not self._shared:
            return {}
        found = rare_word_scores(list(self._contexts.values()), list(self._shared.values()))
        return dict(zip(self._shared, found.tolist(), strict=True))

    def _words(self, text: str) -> Words:
        key = digest(text)
        if key not in self._contexts:
            self._contexts[key] = distinct_words(text)
        return self._contexts[key]
