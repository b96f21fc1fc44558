"""Every blind guesser over the whole dataset: its scores, or why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import seed_of
from contextrl_data.stages.audit import rare_words
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.groups import Clustering
from contextrl_data.stages.audit.learned import (
    Margins,
    bags,
    cross_validated,
    forest_guesser,
    linear_guesser,
    scores_of,
    standardised,
)
from contextrl_data.stages.audit.measure import Measured
from contextrl_data.stages.audit.rare_words import rare_word_scores

LEAST_LEARNED = 20
"""Rows below which nothing is fitted."""
TELLING = 300
"""Words that a bag-of-words guesser uses, chosen anew in each fold."""


@dataclass(frozen=True)
class Scored:
    """Scores of one guesser. NaN marks rows that it does not apply to."""

    name: str
    scores: npt.NDArray[np.float64]
    forward: npt.NDArray[np.float64] | None = None
    """Of a guesser that learns: the scores that it is tested by."""
    note: str = ""


def all_scores(rows: Sequence[Measured], clustering: Clustering, config: AuditConfig) -> list[Scored]:
    """Per-pair guessers, then those that need the whole dataset, in a fixed order."""
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    found = [Scored(name, np.array([row.scores.get(name, np.nan) for row in rows])) for name in names]
    if "first" not in names:
        found.append(_missing(rows, "first", "no column tells which context is shown first"))
    if any(row.shared is not None for row in rows):
        found.append(Scored(rare_words.NAME, _rare_words(rows)))
    return found + _learned(rows, clustering, config)


def _missing(rows: Sequence[Measured], name: str, note: str) -> Scored:
    return Scored(name, np.full(len(rows), np.nan), note=note)


def _rare_words(rows: Sequence[Measured]) -> npt.NDArray[np.float64]:
    texts = {text.key: text.words for row in rows if row.texts for text in row.texts}
    return rare_word_scores(list(texts.values()), [row.shared for row in rows])


def _learned(rows: Sequence[Measured], clustering: Clustering, config: AuditConfig) -> list[Scored]:
    wanted = {
        "answer_only": [row.correct_first is not None for row in rows],
        "context_words": [row.texts is not None for row in rows],
        "image_traces": [row.pictures is not None and all(one.values for one in row.pictures) for row in rows],
        "embeddings": [row.embeddings is not None for row in rows],
    }
    makers = {
        "answer_only": _answer_only,
        "context_words": _context_words,
        "image_traces": _image_traces,
        "embeddings": _embeddings,
    }
    found = []
    for name, mask in wanted.items():
        places = np.flatnonzero(mask)
        if not len(places):
            continue
        clusters = clustering.folds[places]
        if len(np.unique(clusters)) < 2:
            found.append(_missing(rows, name, "one group only: cross-validation is impossible"))
            continue
        if len(places) < LEAST_LEARNED:
            found.append(_missing(rows, name, f"fewer than {LEAST_LEARNED} pairs to learn from"))
            continue
        part = [rows[place] for place in places.tolist()]
        margins = makers[name](part, clusters, config)
        scores, forward = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        scores[places], forward[places] = scores_of(margins.crossed), scores_of(margins.forward)
        found.append(Scored(name, scores, forward))
    return found


def _flips(rows: Sequence[Measured], config: AuditConfig) -> npt.NDArray[np.float64]:
    """A sign for each row, from its id: which way round a learner sees it."""
    return np.array([1.0 if seed_of(config.seed, row.id, "flip") & 1 else -1.0 for row in rows])


def _answer_only(rows: Sequence[Measured], clusters: npt.NDArray[np.int64], config: AuditConfig) -> Margins:
    """Question and answer, no context: do they tell at which place C+ is shown?"""
    truth = np.array([1.0 if row.correct_first else -1.0 for row in rows])
    features = bags([row.prompt_words for row in rows], config.max_features)
    return cross_validated(len(rows), clusters, config.folds, linear_guesser(features, truth, TELLING))


def _context_words(rows: Sequence[Measured], clusters: npt.NDArray[np.int64], config: AuditConfig) -> Margins:
    """The two contexts' words, no answer: does one look like a C+?"""
    texts = {text.key: text.words for row in rows for text in row.texts or ()}
    place = {key: number for number, key in enumerate(texts)}
    matrix = bags(list(texts.values()), config.max_features)
    keys = [row.texts for row in rows if row.texts]
    right, wrong = ([place[one[side].key] for one in keys] for side in (0, 1))
    truth = _flips(rows, config)
    features = (matrix[right] - matrix[wrong]).multiply(truth[:, None]).tocsr()
    return cross_validated(len(rows), clusters, config.folds, linear_guesser(features, truth, TELLING))


def _image_traces(rows: Sequence[Measured], clusters: npt.NDArray[np.int64], config: AuditConfig) -> Margins:
    """How the two images were made, not what they show."""
    pictures = [row.pictures for row in rows if row.pictures]
    names = sorted(pictures[0][0].values)
    right, wrong = (np.array([[one[side].values[name] for name in names] for one in pictures]) for side in (0, 1))
    return cross_validated(len(rows), clusters, config.folds, forest_guesser(right, wrong, _flips(rows, config)))


def _embeddings(rows: Sequence[Measured], clusters: npt.NDArray[np.int64], config: AuditConfig) -> Margins:
    """The two embeddings, no answer."""
    vectors = [row.embeddings for row in rows if row.embeddings]
    sizes = {len(vector) for both in vectors for vector in both}
    if len(sizes) > 1:
        raise InputError(
            f"the embeddings have {len(sizes)} lengths, from {min(sizes)} to {max(sizes)}",
            "give vectors of one encoder, or columns.embedding_pos and columns.embedding_neg that hold them",
        )
    right, wrong = (np.array([one[side] for one in vectors], float) for side in (0, 1))
    truth = _flips(rows, config)
    features = standardised(right - wrong) * truth[:, None]
    return cross_validated(len(rows), clusters, config.folds, linear_guesser(features, truth))
