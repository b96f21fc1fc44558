"""The cascade: every step, both kinds of confounder, and the index against brute force."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pyarrow as pa
import pytest
from coding_rows import ISSUES, Listed, printed, said, trajectory
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Gathered, Keep
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.evidence import EvidenceShelf
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.pairing import Light
from contextrl_data.stages.coding.similarity import IssueSimilarity, line_shingles, signature
from contextrl_data.stages.rows import CANDIDATE


def located(*rows: dict[str, Any]) -> Listed:
    found = Listed()
    for row in rows:
        outcome = Locate(LocateConfig()).process(row)
        assert isinstance(outcome, Keep)
        found.extend(outcome.rows)
    return found


def gathered(rows: Listed, **config: Any) -> tuple[list[dict[str, Any]], Gathered]:
    config = {"min_relatedness": 0.0, "max_near_duplicate": 0.99, **config}
    result = Cascade(CascadeConfig(**config)).gather(rows)
    pairs = list(result.rows)
    pa.Table.from_pylist(pairs, CANDIDATE)
    used = {pair[side]["id"] for pair in pairs for side in ("first", "second")}
    assert not used & result.dropped.keys()
    assert used | result.dropped.keys() == {row["id"] for row in rows}
    return pairs, result


def test_two_issues_in_one_function_make_a_sibling_pair() -> None:
    rows = located(trajectory("quantity"), trajectory("discount"), trajectory("shipping"))
    (pair,), result = gathered(rows)
    assert pair["kind"] == "sibling"
    assert pair["group"] == "acme/shop::shop/cart.py::Cart.total"
    assert pair["first"]["id"] == "shop.discount#0"
    assert pair["same_commit"] is True
    assert 0 < pair["relatedness"] < 1
    assert 0 < pair["near_duplicate"] < 1
    assert pair["first"]["messages"] == rows[1]["messages"]
    assert result.dropped == {"shop.shipping#0": "no other run of its function"}
    assert dict(result.funnel)["pairs of one function"] == 1


def test_a_failed_run_of_the_same_issue_makes_an_outcome_pair() -> None:
    wrong = trajectory("quantity", "shop.quantity#1", resolved=False)
    wrong["patch"] = wrong["patch"].replace("+        amount = sum(price * quantity", "+        amount = sum(quantity")
    wrong["messages"] = [*wrong["messages"], said("again", "true"), said("and again", "true")]
    rows = located(trajectory("quantity"), wrong)
    (pair,), _ = gathered(rows)
    assert (pair["kind"], pair["relatedness"]) == ("outcome", 1.0)
    assert gathered(rows, kinds=["sibling"])[0] == []


@pytest.mark.parametrize(
    ("changed", "config", "reason"),
    [
        ({"resolved": None}, {}, "no usable label"),
        ({"resolved": False}, {"kinds": ["sibling"]}, "no usable label"),
        ({"resolved": False}, {}, "no partner with a fitting label"),
        ({"repo": "acme/other"}, {}, "no other run of its repository"),
        ({"commit": "beef"}, {}, "no other run of its repository"),
        ({"problem_statement": ISSUES["quantity"]}, {}, "no partner with a distinct, related issue"),
        ({}, {"min_relatedness": 0.9}, "no partner with a distinct, related issue"),
        ({}, {"max_near_duplicate": 0.01}, "only near-duplicate partners"),
        ({}, {"max_length_ratio": 1.0}, "only partners of very different length"),
        ({}, {"max_per_trajectory": 0}, "over the caps"),
        ({}, {"max_per_function": 0}, "over the caps"),
    ],
)
def test_each_step_says_why_it_ended_a_run(changed: dict[str, Any], config: dict[str, Any], reason: str) -> None:
    other = {**trajectory("discount"), **changed}
    pairs, result = gathered(located(trajectory("quantity"), other), **config)
    assert pairs == []
    assert result.dropped["shop.discount#0"] == reason


def test_the_same_answer_twice_is_no_pair() -> None:
    copy = trajectory("quantity", "shop.copy#0", instance_id="shop.copy", problem_statement="Another report of totals.")
    pairs, result = gathered(located(trajectory("quantity"), copy))
    assert pairs == []
    assert set(result.dropped.values()) == {"no partner with a different answer"}


def test_answers_are_compared_wherever_both_edit() -> None:
    """The same edit in one shared function, another one in the next: the second place is what tells them apart."""
    rows = Listed()
    for name, added in (("one", "mend(a)"), ("two", "mend(b)")):
        edits = [
            {"file": "shop/cart.py", "symbol": symbol, "how": "ast", "removed": ["old"], "added": [line]}
            for symbol, line in (("Cart.total", "same"), ("free_shipping", added))
        ]
        base = trajectory({"one": "quantity", "two": "discount"}[name], name)
        rows.append({**base, "edits": edits})
    for scope, place in (("function", "free_shipping"), ("file", "")):
        (pair,), _ = gathered(rows, scope=scope)
        assert pair["group"] == f"acme/shop::shop/cart.py::{place}"
    for row in rows:
        row["edits"][1]["added"] = ["the same too"]
    assert gathered(rows)[0] == []


@pytest.mark.parametrize(
    ("shown", "margin"), [("12:\tbrand_new_name(2)", 0.0), ("x = brand_new_name(3)", 0.5), ("nothing", 0.0)]
)
def test_what_the_masks_will_hide_does_not_count_as_support(shown: str, margin: float) -> None:
    patch = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-  former_name(1)\n+  brand_new_name(2)\n"
    rows = located(trajectory("quantity", patch=patch), trajectory("discount"))
    rows[1]["messages"][3] = printed(shown)
    one, two = map(Light.of, rows)
    shelf = EvidenceShelf()
    shelf.fill(rows, [_Two(one, two)])
    assert shelf.margin(one, two) == margin


@dataclass(frozen=True)
class _Two:
    first: Light
    second: Light


def test_labels_and_commits_can_be_waived_and_are_recorded() -> None:
    rows = located(trajectory("quantity", resolved=None), trajectory("discount", commit="beef", resolved=None))
    (pair,), _ = gathered(rows, require_resolved=False, same_commit=False)
    assert pair["same_commit"] is False


def test_the_hardest_confounder_wins_the_cap() -> None:
    easy = trajectory("discount", "shop.discount#easy")
    easy["messages"][3]["content"] = "nothing to see"
    easy["messages"][5]["content"] = "nothing to see"
    hard = trajectory("discount", "shop.discount#hard")
    (pair,), _ = gathered(located(trajectory("quantity"), easy, hard), max_per_function=1)
    assert pair["first"]["id"] == "shop.discount#hard"


def test_the_order_of_the_input_changes_nothing() -> None:
    rows = located(*(trajectory(bug, f"{bug}#{n}") for bug in ISSUES for n in range(3)))
    assert gathered(rows, max_per_trajectory=2)[0] == gathered(Listed(reversed(rows)), max_per_trajectory=2)[0]


RUNS = st.lists(
    st.fixed_dictionaries(
        {
            "repo": st.sampled_from(["a/a", "b/b"]),
            "commit": st.sampled_from(["1", "2"]),
            "instance": st.integers(0, 5),
            "resolved": st.sampled_from([True, True, False, None]),
            "edits": st.lists(
                st.tuples(st.sampled_from(["x.py", "y.py"]), st.sampled_from(["f", "C.g", ""]), st.integers(0, 2)),
                min_size=1,
                max_size=3,
            ),
        }
    ),
    max_size=14,
)


@given(RUNS, st.booleans(), st.booleans(), st.sampled_from(["function", "file"]))
@settings(max_examples=150, deadline=None)
def test_the_index_finds_what_brute_force_finds(runs: list[Any], same_commit: bool, require: bool, scope: str) -> None:
    rows = Listed()
    for number, run in enumerate(runs):
        edits = [
            {"file": file, "symbol": symbol, "how": "ast", "removed": ["old"], "added": [f"new {value}"]}
            for file, symbol, value in run["edits"]
        ]
        issue = " ".join(["total", "price", "cart", "discount", "sum", "item"][run["instance"] :]) + " wrong"
        base = trajectory(
            "quantity", f"run-{number:03}", repo=run["repo"], commit=run["commit"], resolved=run["resolved"]
        )
        rows.append({**base, "instance_id": f"i{run['instance']}", "problem_statement": issue, "edits": edits})
    low, high = 0.2, 0.99
    config = {"same_commit": same_commit, "require_resolved": require, "scope": scope, "min_relatedness": low}
    caps = {"max_per_function": 10_000, "max_per_trajectory": 10_000, "max_near_duplicate": 1.0}
    pairs, _ = gathered(rows, max_relatedness=high, **config, **caps)

    def usable(row: dict[str, Any]) -> bool:
        return row["resolved"] is not None or not require

    similar = IssueSimilarity({row["instance_id"]: row["problem_statement"] for row in rows if usable(row)})

    def places(row: dict[str, Any]) -> dict[Any, list[Any]]:
        by_symbol: dict[Any, list[Any]] = {}
        for edit in row["edits"]:
            if scope == "file" or edit["symbol"]:
                by_symbol.setdefault((edit["file"], edit["symbol"]), []).append(edit["added"])
        if scope == "function":
            return by_symbol
        # The same lines in one function or in two are not the same answer.
        by_file: dict[Any, list[Any]] = {}
        for (file, _), added in sorted(by_symbol.items()):
            by_file.setdefault((file, ""), []).append(added)
        return by_file

    def answer(row: dict[str, Any]) -> list[Any]:
        found: dict[Any, list[Any]] = {}
        for edit in row["edits"]:
            found.setdefault((edit["file"], edit["symbol"]), []).append(edit["added"])
        return [(file, added) for (file, _), added in sorted(found.items())]

    def qualifies(one: dict[str, Any], other: dict[str, Any]) -> bool:
        if not (usable(one) and usable(other)) or one["repo"] != other["repo"]:
            return False
        if same_commit and one["commit"] != other["commit"]:
            return False
        shared = sorted(places(one).keys() & places(other).keys())
        if all(places(one)[place] == places(other)[place] for place in shared):
            return False
        if answer(one) == answer(other):
            return False
        if one["instance_id"] == other["instance_id"]:
            return {one["resolved"], other["resolved"]} == {True, False}
        related = similar(*sorted([one["instance_id"], other["instance_id"]]))
        return False not in (one["resolved"], other["resolved"]) and low <= related <= high

    brute = {(one["id"], other["id"]) for one, other in combinations(rows, 2) if qualifies(one, other)}
    assert {(pair["first"]["id"], pair["second"]["id"]) for pair in pairs} == brute


def test_near_duplicates_are_estimated_close_to_the_truth() -> None:
    lines = [f"line {number}" for number in range(400)]
    one = [{}, {}, {"role": "user", "content": "\n".join(lines[:300])}]
    other = [{}, {}, {"role": "user", "content": "\n".join(lines[100:])}]
    truth = 199 / 399
    assert signature(line_shingles(one)).jaccard(signature(line_shingles(other))) == pytest.approx(truth, abs=0.12)
    assert signature(line_shingles(one)).jaccard(signature(line_shingles(one))) == 1.0
