"""When two questions ask the same thing in other words: for pairs across question groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import MissingExtra

_WHERE = re.compile(r"\b(?:in|on|from|of) (?:the|this) (?:image|picture|photo|photograph|figure|scene|diagram)\b")
_FILLERS = {
    "a", "an", "the", "is", "are", "was", "were", "do", "does", "did", "be", "of", "there", "this", "that", "these",
    "those", "shown", "seen", "visible", "here", "can", "you", "see", "please", "image", "picture", "photo",
    "photograph", "it",
}  # fmt: skip
_SAME = {"colour": "color", "colours": "color", "colors": "color", "grey": "gray", "centre": "center", "whats": "what"}


def asked(question: str) -> str:
    """What a question asks for: its words in order, without those that change nothing.

    >>> asked("How many dogs are in the picture?") == asked("how many dogs are there")
    True
    >>> asked("Is the cat left of the dog?")
    'cat left dog'
    """
    text = _WHERE.sub(" ", question.casefold().replace("'s", "").replace("’s", ""))
    words = [_SAME.get(word, word) for word in re.findall(r"\w+", text) if word not in _FILLERS]
    return " ".join(
        word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "sui" else word for word in words
    )


class QuestionSimilarity:
    """Cosine of TF-IDF vectors over the words that matter and their neighbours, fitted on the texts it is given.

    Two questions about another thing share their frame at most ("how many ..."), which weighs little.
    """

    def __init__(self, questions: Sequence[str]) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError as error:
            raise MissingExtra("images", "comparing questions") from error
        vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", norm="l2")
        try:
            self._vectors: Any = vectorizer.fit_transform([asked(question) for question in questions])
        except ValueError:  # not a single word
            self._vectors = None

    def __call__(self, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Cosines of pairs of questions, by their places, 0..1."""
        if self._vectors is None or not len(one):
            return np.zeros(len(one))
        product = self._vectors[one].multiply(self._vectors[other]).sum(axis=1)
        return np.round(np.asarray(product, dtype=np.float64).reshape(-1), 9)
