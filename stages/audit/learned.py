"""Guessers that learn on some groups and are scored on the others: bags of words, image traces, embeddings.

All are antisymmetric: they see what C+ and C- differ in, with a sign drawn at random while they learn, and have no
intercept. Exchanging the contexts exchanges the guess, so that a guesser that learned nothing says 0.5, and a dataset
that holds both directions of every pair cannot be told by its contexts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.audit.groups import Clusters

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Signs = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Words = npt.NDArray[np.int32]
Fit = Callable[[Places, Places], Floats]
_TIE = 1e-9
TREE_ROWS = 2000
"""Most rows that one tree is grown on: more of them cost time and find no more."""


@dataclass(frozen=True)
class Margins:
    """Positive where the guess was for C+, negative where it was for C-; shape (rows,)."""

    crossed: Floats
    """From a guesser that learned on all other folds: what its accuracy is estimated by."""
    forward: Floats
    """From a guesser that learned on the folds before; NaN in the first fold. What it is tested by.

    In cross-validation two clusters judge each other, so that its scores are no fair coins even where nothing is to be
    learned (their sum has about twice the variance). Going forward each cluster is judged by what came before it: given
    the past its score is a fair coin, whatever the guesser is.
    """


def cross_validated(count: int, clusters: Clusters, folds: int, fit: Fit) -> Margins:
    """Margins of all rows, each from guessers that saw no row of its cluster.

    `fit` gets the places of the rows to learn from and of those to score, and returns the margins of the latter.
    """
    try:
        from sklearn.model_selection import GroupKFold
    except ImportError as error:
        raise MissingExtra("audit", "cross-validation") from error
    crossed, forward = np.zeros(count), np.full(count, np.nan)
    splitter = GroupKFold(n_splits=min(folds, len(np.unique(clusters))))
    past = np.zeros(0, np.int64)
    for learn, score in splitter.split(np.zeros((count, 1)), groups=clusters):
        crossed[score] = fit(learn, score)
        if len(past):
            forward[score] = fit(past, score)
        past = np.sort(np.concatenate([past, score]))
    return Margins(crossed, forward)


def scores_of(margins: Floats) -> Floats:
    """1 where the margin is for C+, 0 where it is for C-, 0.5 where there is none, NaN where nothing was guessed."""
    scores = np.where(np.abs(margins) < _TIE, 0.5, (margins > 0).astype(float))
    return np.where(np.isnan(margins), np.nan, scores)


def linear_guesser(features: Any, truth: Signs, most: int | None = None, weight: float = 0.1) -> Fit:
    """Logistic regression without intercept: a row's margin says which sign of `truth` (1 or -1) it looks like.

    With `most`, only so many columns are used: those that lean furthest to one sign among the rows to learn from, in
    standard deviations. One telling word in thousands is found so, where a regression over all would drown it.
    """
    from sklearn.linear_model import LogisticRegression

    def fit(learn: Places, score: Places) -> Floats:
        wanted = truth[learn]
        if len(np.unique(wanted)) < 2:
            return np.zeros(len(score))
        known, asked = features[learn], features[score]
        if most is not None and features.shape[1] > most:
            lean = np.asarray(known.T @ wanted).ravel()
            spread = np.sqrt(np.asarray(known.multiply(known).sum(axis=0)).ravel())
            columns = np.argsort(-np.abs(lean) / np.maximum(spread, 1.0), kind="stable")[:most]
            known, asked = known[:, columns], asked[:, columns]
        model = LogisticRegression(
            solver="liblinear", fit_intercept=False, C=weight, class_weight="balanced", random_state=0, max_iter=300
        )
        model.fit(known, wanted)
        margin: Floats = model.decision_function(asked) * truth[score]
        return margin

    return fit


def forest_guesser(right: Floats, wrong: Floats, flips: Signs) -> Fit:
    """A random forest over two images' traces and their difference; finds thresholds and not only slopes."""
    from sklearn.ensemble import RandomForestClassifier

    def seen(first: Floats, second: Floats) -> Floats:
        return np.hstack([first - second, first, second])

    def fit(learn: Places, score: Places) -> Floats:
        straight = flips[learn, None] > 0
        first = np.where(straight, right[learn], wrong[learn])
        second = np.where(straight, wrong[learn], right[learn])
        model = RandomForestClassifier(
            n_estimators=60,
            min_samples_leaf=5,
            max_samples=min(1.0, TREE_ROWS / (2 * len(learn))),
            random_state=0,
        )
        # Both orders of each pair, so that the two classes have the same size in every fold.
        model.fit(np.vstack([seen(first, second), seen(second, first)]), np.concatenate([flips[learn], -flips[learn]]))
        place = list(model.classes_).index(1.0)
        forth = model.predict_proba(seen(right[score], wrong[score]))[:, place]
        back = model.predict_proba(seen(wrong[score], right[score]))[:, place]
        margin: Floats = forth - back
        return margin

    return fit


def bags(texts: Sequence[Words], most: int, least: int = 2) -> csr_matrix:
    """Which words each text holds, as a sparse matrix of ones; shape (texts, words).

    Words of fewer than `least` texts are left out, those of every text too, and beyond `most` words the rarest.
    """
    from scipy.sparse import csr_matrix

    words, counts = np.unique(np.concatenate([*texts, np.zeros(0, np.int32)]), return_counts=True)
    kept = (counts >= least) & (counts < len(texts))
    words, counts = words[kept], counts[kept]
    if len(words) > most:
        words = words[np.sort(np.argsort(-counts, kind="stable")[:most])]
    found = [_places(words, text) for text in texts]
    starts = np.cumsum([0, *map(len, found)]).astype(np.int32)  # liblinear takes 32-bit indices alone
    places = np.concatenate([*found, np.zeros(0, np.int64)]).astype(np.int32)
    return csr_matrix((np.ones(len(places)), places, starts), shape=(len(texts), max(len(words), 1)))


def _places(words: Words, text: Words) -> Places:
    """Where those of a text's words that are kept stand in the sorted vocabulary."""
    if not len(words):
        return np.zeros(0, np.int64)
    near = np.minimum(np.searchsorted(words, text), len(words) - 1)
    found: Places = near[words[near] == text]
    return found


def standardised(differences: Floats) -> Floats:
    """Columns over their root mean square; differences are centred at zero by construction and stay so."""
    scale = np.sqrt((differences**2).mean(axis=0))
    return differences / np.where(scale > 0, scale, 1.0)
