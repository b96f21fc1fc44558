"""Intervals and tests over clusters, against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.audit.baselines import wilson_interval
from contextrl_data.stages.audit.statistics import effective_n, holm, interval, p_value


def alone(count: int) -> np.ndarray:
    return np.arange(count)


def test_independent_pairs_have_wilsons_interval() -> None:
    scores = np.array([1.0] * 30 + [0.0] * 20)
    low, high, n = interval(scores, alone(50))
    # The variance is estimated with k / (k - 1), as for any sample.
    assert n == pytest.approx(49)
    assert (low, high) == pytest.approx(wilson_interval(0.6 * n, n))


def test_pairs_that_go_together_count_once() -> None:
    scores = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0], 25)
    assert effective_n(scores, np.repeat(np.arange(8), 25)) == pytest.approx(7)
    assert effective_n(np.ones(200), np.repeat(np.arange(8), 25)) == 8


def test_two_directions_that_cancel_are_no_more_than_their_number() -> None:
    scores = np.array([1.0, 0.0] * 40)
    assert effective_n(scores, np.repeat(np.arange(40), 2)) == 80
    assert p_value(scores, np.repeat(np.arange(40), 2)) == 1.0


def test_few_clusters_are_counted_exactly() -> None:
    # Five clusters, all on one side: 1 of the 32 sign patterns is as extreme, 2 of them on either side.
    scores = np.repeat(1.0, 50)
    clusters = np.repeat(np.arange(5), 10)
    assert p_value(scores, clusters, one_sided=True) == pytest.approx(1 / 32)
    assert p_value(scores, clusters) == pytest.approx(2 / 32)
    assert p_value(scores, np.zeros(50, int)) == 1.0, "one cluster proves nothing"


def test_many_clusters_follow_the_normal_distribution() -> None:
    scores = np.array([1.0] * 60 + [0.0] * 40)
    # z = 20 / sqrt(100) = 2.
    assert p_value(scores, alone(100)) == pytest.approx(0.0455, abs=1e-4)


def test_the_interval_of_a_learned_guesser_counts_half_the_pairs() -> None:
    scores = np.array([1.0] * 60 + [0.0] * 40)
    assert interval(scores, alone(100), learned=True)[2] == pytest.approx(interval(scores, alone(100))[2] / 2)


def test_a_fitted_guesser_below_chance_is_no_finding() -> None:
    scores = np.array([0.0] * 90 + [1.0] * 10)
    assert p_value(scores, alone(100), one_sided=True) == 1.0
    assert p_value(scores, alone(100)) < 1e-9


def test_a_tolerated_distance_is_not_reported() -> None:
    scores = np.array([1.0] * 540 + [0.0] * 460)
    assert p_value(scores, alone(1000)) < 0.02
    assert p_value(scores, alone(1000), tolerance=0.05) == 1.0
    assert p_value(np.ones(1000), alone(1000), tolerance=0.05) < 1e-9


def test_holm_matches_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 20)), min_size=1, max_size=80))
def test_intervals_hold_the_accuracy_and_p_values_are_probabilities(pairs: list[tuple[float, int]]) -> None:
    scores = np.array([score for score, _ in pairs])
    clusters = np.unique([number for _, number in pairs], return_inverse=True)[1]
    low, high, n = interval(scores, clusters)
    assert 0 <= low <= scores.mean() + 1e-9
    assert scores.mean() - 1e-9 <= high <= 1
    assert 0 < n <= len(scores)
    assert 0 <= p_value(scores, clusters) <= 1


def test_sets_of_clustered_coins_are_rarely_called_off_chance() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 10)
    p_values = [p_value(np.repeat(rng.integers(0, 2, 40), 10) * 1.0, clusters) for _ in range(500)]
    assert np.mean(np.array(p_values) < 0.05) < 0.09
