"""Directed rows from real runs of the tiny shop, through locate, cascade, mask and the rule judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from coding_rows import ISSUES, Listed, trajectory

from contextrl_data.pipeline.stage import Context, Drop, Keep
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.directed import Direct, DirectConfig
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.mask import Mask, MaskConfig
from contextrl_data.stages.prompt import choice_prompt
from contextrl_data.stages.rows import JUDGED, PAIR

Row = dict[str, Any]


def judged(*rows: Row, checks: list[Row] | None = None) -> Row:
    """One judged pair of two runs."""
    located = Listed()
    for row in rows:
        outcome = Locate(LocateConfig()).process(row)
        assert isinstance(outcome, Keep)
        located.extend(outcome.rows)
    (candidate,) = Cascade(CascadeConfig(min_relatedness=0.0, max_near_duplicate=0.99)).gather(located).rows
    masked = Mask(MaskConfig()).process(candidate)
    assert isinstance(masked, Keep)
    verdict = {"judge": "rules", "verdict": "VALID", "verdict_reason": "", "votes": None}
    pair = {**masked.rows[0], "checks": checks or [], **verdict}
    return dict(pa.Table.from_pylist([pair], JUDGED).to_pylist()[0])


def direct(row: Row, **config: Any) -> list[Row]:
    stage = Direct(DirectConfig(**config))
    stage.open(Context(folder=Path()))
    outcome = stage.process(row)
    assert isinstance(outcome, Keep), outcome
    assert pa.Table.from_pylist(outcome.rows, PAIR).to_pylist() == outcome.rows
    return outcome.rows


@pytest.fixture(scope="module")
def siblings() -> Row:
    runs = trajectory("quantity"), trajectory("discount")
    first, second = (run["instance_id"] for run in runs)
    checks = [
        {"patch_of": a, "tests_of": b, "status": "resolved" if a == b else "unresolved"}
        for a in (first, second)
        for b in (first, second)
    ]
    return judged(*runs, checks=checks)


def test_both_directions_mirror_each_other(siblings: Row) -> None:
    forward, reverse = direct(siblings)
    assert forward["answer"] == siblings["first"]["patch"] == reverse["answer_neg"]
    assert forward["context_pos"] == siblings["first"]["full"] == reverse["context_neg"]
    assert forward["trajectory_pos"] == siblings["first"]["id"] == reverse["trajectory_neg"]
    assert {forward["correct_option"], reverse["correct_option"]} == {"A", "B"}
    assert choice_prompt(forward).split("<option_A>")[1] == choice_prompt(reverse).split("<option_A>")[1]
    assert (forward["file"], forward["symbol"]) == tuple(siblings["group"].split("::")[1:])
    assert len({forward["id"], reverse["id"]}) == 2


def test_what_was_executed_and_measured_is_on_record(siblings: Row) -> None:
    for row in direct(siblings):
        assert row["checks"] == [
            {"name": "answer passes the tests of C+", "passed": True, "detail": "resolved"},
            {"name": "answer fails the tests of C-", "passed": True, "detail": "unresolved"},
        ]
        names = [measure["name"] for measure in row["measures"]]
        assert len(names) == len(set(names))
        assert {"relatedness", "readable", "overlap_pos", "function_pos"} <= set(names)
        scores = {score["name"]: score["value"] for score in row["blind_scores"]}
        assert scores["first"] == float(row["correct_first"])
        assert set(scores.values()) <= {0.0, 0.5, 1.0}
    assert all(c["passed"] is None for row in direct({**siblings, "checks": []}) for c in row["checks"])


def test_the_issue_is_not_shown_unless_asked_for(siblings: Row) -> None:
    prompts = [choice_prompt(row) for row in direct(siblings)]
    assert not any(issue in prompt for issue in ISSUES.values() for prompt in prompts)
    shown = direct(siblings, show_issue=True)
    assert all(row["problem_statement_pos"].strip() in choice_prompt(row) for row in shown)


def test_the_view_is_the_one_that_was_asked_for(siblings: Row) -> None:
    full, early = direct(siblings)[0], direct(siblings, view="before_edit")[0]
    assert len(early["context_pos"]) < len(full["context_pos"])
    assert early["tokens"] < full["tokens"]


def test_too_long_is_dropped_whole_never_cut(siblings: Row) -> None:
    longest = max(row["tokens"] for row in direct(siblings))
    assert len(direct(siblings, max_tokens=longest)) == 2
    stage = Direct(DirectConfig(max_tokens=longest - 1))
    stage.open(Context(folder=Path()))
    assert stage.process(siblings) == Drop("longer than the token budget")


def test_an_answer_that_is_not_known_gives_no_direction(siblings: Row) -> None:
    lone = {**siblings, "second": {**siblings["second"], "patch": None}}
    assert [row["direction"] for row in direct(lone)] == ["forward"]
    stage = Direct(DirectConfig())
    stage.open(Context(folder=Path()))
    assert stage.process({**lone, "first": {**lone["first"], "patch": ""}}) == Drop("no answer is known")


def test_the_order_is_drawn_from_the_id_and_balanced(siblings: Row) -> None:
    rows = [row for n in range(200) for row in direct({**siblings, "id": f"pair-{n}"})]
    assert sum(row["correct_first"] for row in rows) == 200
    forward = sum(row["correct_first"] for row in rows if row["direction"] == "forward")
    assert 70 < forward < 130
    again = [row for n in range(200) for row in direct({**siblings, "id": f"pair-{n}"}, seed=1)]
    assert [row["correct_first"] for row in again] != [row["correct_first"] for row in rows]


def test_two_licences_are_both_named_and_an_unknown_one_is_not_hidden(siblings: Row) -> None:
    second = {**siblings["second"], "licence": "Apache-2.0"}
    mixed = {**siblings, "first": {**siblings["first"], "licence": "MIT"}, "second": second}
    assert {row["licence"] for row in direct(mixed)} == {"Apache-2.0 AND MIT"}
    unknown = {**mixed, "second": {**second, "licence": ""}}
    assert {row["licence"] for row in direct(unknown)} == {""}


def test_an_outcome_pair_says_that_both_runs_were_evaluated(siblings: Row) -> None:
    instance = siblings["first"]["instance_id"]
    statuses = ("resolved", "unresolved")
    checks = [{"patch_of": instance, "tests_of": instance, "status": status} for status in statuses]
    rows = direct({**siblings, "kind": "outcome", "checks": checks})
    assert [[c["detail"] for c in row["checks"]] for row in rows] == [list(statuses), list(reversed(statuses))]
    assert all(c["passed"] for row in rows for c in row["checks"])


def test_runs_that_looked_at_the_same_before_their_edits_make_no_pair_of_that_view(siblings: Row) -> None:
    twin = {**siblings, "second": {**siblings["second"], "before_edit": siblings["first"]["before_edit"]}}
    stage = Direct(DirectConfig(view="before_edit"))
    stage.open(Context(folder=Path()))
    assert stage.process(twin) == Drop("the contexts are the same")
    assert len(direct(twin, view="full")) == 2
