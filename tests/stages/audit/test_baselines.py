"""Blind baselines and their intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.audit import (
    blind_scores,
    default_baselines,
    summarise,
    table,
    wilson_interval,
)
from contextrl_data.stages.lexical import Idf, changed_lines

PATCH = """diff --git a/pkg/mod.py b/pkg/mod.py
--- a/pkg/mod.py
+++ b/pkg/mod.py
@@ -1,3 +1,3 @@ def head(items):
 def head(items):
-    return items[1]
+    return items[first_index]
     # end
"""


def directed(positive: str, negative: str, first: bool = True) -> Row:
    return {
        "answer": PATCH,
        "context_pos": [{"role": "user", "content": positive}],
        "context_neg": [{"role": "user", "content": negative}],
        "correct_first": first,
    }


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Reference values: statsmodels.stats.proportion.proportion_confint(method="wilson").
    [(0, 10, 0.0, 0.27753279), (5, 10, 0.23659309, 0.76340691), (10, 10, 0.72246721, 1.0), (90, 173, 0.44619, 0.59334)],
)
def test_wilson_interval_matches_the_reference(hits: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(hits, n) == pytest.approx((low, high), abs=1e-4)


@given(n=st.integers(1, 5000), share=st.floats(0, 1))
def test_wilson_interval_holds_its_proportion(n: int, share: float) -> None:
    low, high = wilson_interval(share * n, n)
    assert 0.0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1.0


def test_removed_and_added_lines_point_to_opposite_contexts() -> None:
    pair = directed("1: def head\n2:     return items[1]", "2:\treturn   items[first_index]")
    scores = blind_scores(pair)
    assert (scores["removed_lines"], scores["added_lines"], scores["patch_lines"]) == (1.0, 0.0, 0.5)


def test_rare_identifiers_outweigh_common_ones() -> None:
    pair = directed("first_index", "items head")
    texts = ["items head", "head items", "items", "first_index"]
    assert blind_scores(pair)["identifiers"] == 0.0
    weighted = blind_scores(pair, default_baselines(Idf({"first_index": 5.0, "items": 1.0, "head": 1.0})))
    assert weighted["identifiers"] == 1.0
    idf = Idf.fit(texts)
    assert idf["never_seen"] > idf["first_index"] > idf["items"]


def test_position_and_length_are_scored() -> None:
    scores = blind_scores(directed("a longer context", "short", first=False))
    assert (scores["longer"], scores["first"]) == (1.0, 0.0)


def test_equal_contexts_cannot_be_told_apart() -> None:
    scores = blind_scores(directed("the same", "the same"))
    assert {name: value for name, value in scores.items() if name != "first"} == dict.fromkeys(
        ["identifiers", "patch_lines", "removed_lines", "added_lines", "longer"], 0.5
    )


def test_summary_counts_every_pair_and_says_what_is_at_chance() -> None:
    results = summarise([{"good": 1.0, "coin": float(number % 2)} for number in range(40)])
    by_name = {result.name: result for result in results}
    assert by_name["good"].n == 40
    assert not by_name["good"].at_chance
    assert by_name["coin"].at_chance
    assert "| good | 1.000 |" in table(results)


def test_changed_lines_are_counted_against_the_hunk_header() -> None:
    patch = "--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n--- old comment\n+++ new comment\n keep\n-- \ntrailer\n"
    assert changed_lines(patch) == (["-- old comment"], ["++ new comment"])
