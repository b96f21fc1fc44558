"""Bug reports from failing tests: what is said is true, and the change is never shown."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.coding.describe import Describe, DescribeConfig
from contextrl_data.stages.coding.mutate import unified
from contextrl_data.stages.coding.reproduce import Example, example_of
from contextrl_data.stages.rows import TASK

CLEAN = "def area(w, h):\n    return w * h * 1000 // 1000\n"
BUGGY = CLEAN.replace("w * h", "w + h")


def failure(statement: str, message: str = "", kind: str = "AssertionError", **more: Any) -> Row:
    return {
        "test": "tests/test_area.py::test_area",
        "when": "call",
        "type": kind,
        "message": message,
        "deeper": kind != "AssertionError",
        "statement": statement,
        "nested": False,
        "before": [],
        "arguments": [],
        "values": {},
        "imports": ["import pytest", "from shapes import area, Box", "import math"],
        "definitions": {},
        **more,
    }


def validated(*failures: Row, identity: str = "o__shapes.1.0.arithmetic__00000000") -> Row:
    row: Row = dict.fromkeys(TASK.names, "")
    return row | {
        "id": identity,
        "fail_to_pass": ["tests/test_area.py::test_area"],
        "pass_to_pass": [],
        "source": "shapes-1.0",
        "patch": unified("shapes.py", BUGGY, CLEAN),
        "setup_patch": unified("shapes.py", CLEAN, BUGGY),
        "failures": json.dumps(list(failures)),
    }


def example(*args: Any, **more: Any) -> Example:
    found = example_of(failure(*args, **more))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("statement", "message", "call", "actual", "expected"),
    [
        ("assert area(2, 3) == 6", "assert 5 == 6\n +  where 5 = area(2, 3)", "area(2, 3)", "5", "6"),
        ("assert 6 == area(2, 3)", "assert 6 == 5", "area(2, 3)", "5", "6"),
        ("self.assertEqual(area(2, 3), 6)", "5 != 6", "area(2, 3)", "5", "6"),
        ("self.assertEqual(6, area(2, 3))", "6 != 5", "area(2, 3)", "5", "6"),
        ("assert area(2, 3)", "assert 0", "area(2, 3)", "0", "True"),
    ],
)
def test_what_came_and_what_was_expected(statement: str, message: str, call: str, actual: str, expected: str) -> None:
    found = example(statement, message)
    assert (found.call, found.actual, found.expected) == (call, actual, expected)
    assert found.snippet == f"from shapes import area\n\n{call}"
    assert found.complete


def test_a_value_computed_by_the_broken_library_is_not_called_the_expected_one() -> None:
    found = example("assert area(2, 3) == Box(2, 3).area()", "assert 5 == 7")
    assert found.expected == "Box(2, 3).area()"


def test_exceptions_that_come_and_that_stay_away() -> None:
    raised = example("assert area(2, 3) == 6", "unsupported operand", "TypeError")
    assert (raised.error, raised.expected) == ("TypeError: unsupported operand", "6")
    silent = example("with pytest.raises(ValueError):\n    area(-1, 2)", "DID NOT RAISE <class 'ValueError'>", "Failed")
    assert (silent.call, silent.expected, silent.actual, silent.error) == (
        "area(-1, 2)",
        "ValueError",
        "no exception",
        "",
    )


def test_the_snippet_holds_what_the_call_needs_and_no_more() -> None:
    found = example(
        "assert box.area(unit) == 6",
        "assert 5 == 6",
        before=["box = Box(2)", "other = Box(9)", "assert box", "box.grow(side)", "other.grow(1)"],
        arguments=["unit"],
        values={"unit": "'cm'", "side": "3"},
        definitions={"side": "side = 3", "unused": "unused = 4"},
    )
    assert found.complete
    assert "side = 3" in found.snippet
    assert "unit = 'cm'" in found.snippet
    assert found.snippet.index("box = Box(2)") < found.snippet.index("box.grow(side)")
    for left_out in ("other", "assert", "unused", "pytest", "math"):
        assert left_out not in found.snippet
    ast.parse(found.snippet)


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert example_of(failure("assert area(2, 3) == 6", "assert 5 == 6", when="setup")) is None
    assert example_of(failure("", "assert 5 == 6")) is None
    assert Describe(DescribeConfig()).process(validated(failure(""))) == Drop("no readable failure")


def test_a_report_never_shows_a_changed_line() -> None:
    shown = failure("assert area(2, 3) == 6", "assert 5 == 6", before=["return w * h * 1000 // 1000"])
    good = failure("assert area(4, 3) == 12", "assert 7 == 12")
    leaking = failure("assert eval('return w + h * 1000 // 1000') == 6", "assert 5 == 6")
    outcome = Describe(DescribeConfig()).process(validated(leaking))
    assert outcome == Drop("no readable failure")
    outcome = Describe(DescribeConfig()).process(validated(leaking, shown, good))
    assert isinstance(outcome, Keep)
    assert "// 1000" not in outcome.rows[0]["problem_statement"]


def test_reports_are_the_same_again_and_not_all_alike() -> None:
    found = []
    for number in range(30):
        row = validated(
            failure("assert area(2, 3) == 6", "assert 5 == 6"), identity=f"o__shapes.1.0.arithmetic__{number:08}"
        )
        outcome = Describe(DescribeConfig()).process(row)
        assert outcome == Describe(DescribeConfig()).process(row)
        assert isinstance(outcome, Keep)
        assert set(outcome.rows[0]) == set(TASK.names)
        found.append(outcome.rows[0]["problem_statement"])
    assert len(set(found)) > 15
    assert len({text.splitlines()[0] for text in found}) > 3
    assert all("`6`" in text and "area(2, 3)" in text for text in found)
