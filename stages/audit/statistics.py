"""How sure an accuracy is when pairs are not independent: intervals, tests, and a verdict over many guessers.

The unit is the *cluster*: the rows that share a group, a pair or a context. Both directions of a pair lie in one.

- **Test**: sum (score - 1/2) over each cluster; under "knows nothing" each sum is as likely as its negative. The p-value
  is that of this sign-flip test: exact up to 16 clusters, beyond them by its normal limit, whose statistic
  sum / sqrt(sum of squares) is self-normalised and so has no heavier tails than the normal distribution (Efron 1969).
- **Interval**: Wilson's with n divided by the design effect (Kish 1965), the variance of the cluster sums about the
  accuracy over the variance of as many independent rows; never below 1.
- **Learned guessers** are tested on forward scores (`learned.Margins`), for which the sign-flip test holds. The interval
  is that of their cross-validated scores, with half the n (`REUSE`): there a cluster is learned from when another is
  scored and the other way round, so that each pair of clusters enters the sum twice, and where nothing is known the sum
  is a degenerate U-statistic counted double, of about twice the naive variance.
- **Verdict**: Holm's step-down over all guessers (Holm 1979): the chance of any false alarm in a set is at most alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from contextrl_data.stages.audit.baselines import wilson_interval

Floats = npt.NDArray[np.float64]
EXACT = 16
"""Most clusters whose sign flips are all counted: 2 ** 16 of them."""
REUSE = 2.0
"""Variance of a cross-validated sum of scores over that of as many fresh ones, where nothing is known."""


def cluster_sums(values: Floats, clusters: npt.NDArray[np.int64]) -> Floats:
    """Sum of the values of each cluster. `clusters` holds 0..k-1, one per value; shape (k,)."""
    return np.bincount(clusters, weights=values, minlength=int(clusters.max(initial=-1)) + 1).astype(np.float64)


def effective_n(scores: Floats, clusters: npt.NDArray[np.int64]) -> float:
    """How many independent pairs say as much as these: n / design effect, between the clusters' number and n.

    Where every pair was scored alike there is no variance to learn from, and only the clusters count.
    """
    n, count = len(scores), len(np.unique(clusters))
    rest = scores - scores.mean()
    alone = float((rest**2).sum())
    if alone < 1e-12:
        return float(count)
    together = float((cluster_sums(rest, clusters) ** 2).sum()) * (count / (count - 1) if count > 1 else 1.0)
    return max(min(n / max(together / alone, 1e-12), float(n)), min(1.0, n))


def interval(scores: Floats, clusters: npt.NDArray[np.int64], *, learned: bool = False) -> tuple[float, float, float]:
    """95 % Wilson interval of the mean score, and the effective n behind it."""
    if not len(scores):
        return 0.0, 1.0, 0.0
    n = effective_n(scores, clusters) / (REUSE if learned else 1.0)
    low, high = wilson_interval(float(scores.mean()) * n, n)
    return low, high, n


def p_value(
    scores: Floats, clusters: npt.NDArray[np.int64], *, one_sided: bool = False, tolerance: float = 0.0
) -> float:
    """Chance of an accuracy this far from one half (further than `tolerance`) for a guesser that knows nothing.

    Two-sided; of learned guessers one-sided, since one that is worse than chance has found nothing.
    """
    if not len(scores):
        return 1.0
    shift = float(scores.mean()) - 0.5
    if abs(shift) <= tolerance or (shift <= 0 and one_sided):
        return 1.0
    sums = cluster_sums(scores - 0.5 - math.copysign(tolerance, shift), clusters)
    sums = sums[np.abs(sums) > 1e-12]
    if not len(sums):
        return 1.0
    sides = 1.0 if one_sided else 2.0
    if len(sums) <= EXACT:
        flips = np.array(list(product((-1.0, 1.0), repeat=len(sums)))) @ np.abs(sums)
        return min(1.0, sides * float((flips >= abs(float(sums.sum())) - 1e-9).mean()))
    z = abs(float(sums.sum())) / math.sqrt(float((sums**2).sum()))
    return min(1.0, sides * 0.5 * math.erfc(z / math.sqrt(2)))


def can_be_called(clusters: int, tests: int, alpha: float) -> bool:
    """Whether so few clusters, all on one side, could make any of the tests a finding."""
    return clusters > EXACT or 2.0 ** (1 - clusters) * tests < alpha


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: those below alpha may be called findings, with a family-wise error of at most alpha."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: (p_values[i], i))):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
