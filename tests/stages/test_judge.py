"""The rule judge: each flaw it names, and what it lets pass."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pyarrow as pa
import pytest
from coding_rows import Listed, trajectory

from contextrl_data.pipeline.stage import Drop, Keep
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.mask import Mask, MaskConfig
from contextrl_data.stages.judge import REASONS, RuleJudge, RuleJudgeConfig
from contextrl_data.stages.rows import JUDGED


def checked_pair() -> dict[str, Any]:
    rows = Listed()
    for bug in ("quantity", "discount"):
        located = Locate(LocateConfig()).process(trajectory(bug))
        assert isinstance(located, Keep)
        rows.extend(located.rows)
    (candidate,) = Cascade(CascadeConfig()).gather(rows).rows
    masked = Mask(MaskConfig()).process(candidate)
    assert isinstance(masked, Keep)
    return {**masked.rows[0], "checks": []}


def verdict(row: dict[str, Any]) -> tuple[str, str]:
    outcome = RuleJudge(RuleJudgeConfig()).process(row)
    if isinstance(outcome, Drop):
        assert outcome.reason.removeprefix("judged invalid: ") in REASONS
        return "INVALID", outcome.reason.removeprefix("judged invalid: ")
    assert isinstance(outcome, Keep)
    pa.Table.from_pylist(outcome.rows, JUDGED)
    (judged,) = outcome.rows
    assert (judged["judge"], judged["votes"]) == ("rules", None)
    return judged["verdict"], judged["verdict_reason"]


def test_a_sound_pair_is_valid() -> None:
    assert verdict(checked_pair()) == ("VALID", "")


def longer(row: dict[str, Any]) -> None:
    row["first"]["full"].append({"role": "user", "content": "x" * 100_000})


def other_format(row: dict[str, Any]) -> None:
    for message in row["first"]["full"]:
        message["content"] = message["content"].replace("```bash", "<function=bash>").replace("```", "</function>")


def other_roles(row: dict[str, Any]) -> None:
    for message in row["second"]["before_edit"]:
        message["role"] = message["role"].replace("user", "tool")


def unmasked_issue(row: dict[str, Any]) -> None:
    for view in ("full", "before_edit"):
        row["first"][view][1] = {"role": "user", "content": "The issue is this."}


def leaking(row: dict[str, Any]) -> None:
    row["leaks"][0]["longest_run"] = 60


def same_answer(row: dict[str, Any]) -> None:
    row["second"]["patch"] = row["first"]["patch"].replace("    ", "\t")


def passes_both(row: dict[str, Any]) -> None:
    row["checks"] = [{"patch_of": "shop.quantity", "tests_of": "shop.discount", "status": "resolved"}]


def equal_outcomes(row: dict[str, Any]) -> None:
    row["kind"] = "outcome"


def unlabelled(row: dict[str, Any]) -> None:
    row["first"]["resolved"] = None


def unseen(row: dict[str, Any]) -> None:
    for leak in row["leaks"]:
        leak["function_pos"] = leak["function_neg"] = False


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (longer, ("INVALID", "length disparity")),
        (other_format, ("INVALID", "format difference")),
        (other_roles, ("INVALID", "format difference")),
        (unmasked_issue, ("INVALID", "inconsistent masks")),
        (leaking, ("INVALID", "leakage")),
        (same_answer, ("INVALID", "ambiguous label")),
        (passes_both, ("INVALID", "ambiguous label")),
        (equal_outcomes, ("INVALID", "ambiguous label")),
        (unlabelled, ("UNCERTAIN", "ambiguous label")),
        (unseen, ("UNCERTAIN", "evidence not shown")),
    ],
)
def test_each_flaw_is_named(spoil: Any, expected: tuple[str, str]) -> None:
    row = deepcopy(checked_pair())
    spoil(row)
    assert verdict(row) == expected
