"""Grading of logs by swebench, and which logs are no verdict at all."""

from __future__ import annotations

import pytest
import small_repo
from small_repo import ALL_TESTS, FAILING

from contextrl_data.stages.coding.grading import Grade, Grader

NONCE = "nonce-1"
SUMMARY = "=========== short test summary info ============\n"


def log(printed: str, code: int = 0) -> str:
    return f"+ cd /testbed\n\n{NONCE} start\n{printed}\n\n{NONCE} end\n{NONCE} rc {code}\n+ git checkout\n"


def grade(printed: str, code: int = 0) -> Grade:
    return Grader(small_repo.task(), NONCE).grade(log(printed, code))


def results(word: str, tests: list[str]) -> str:
    return "".join(f"{word} {test}\n" for test in tests)


def test_all_passed_is_resolved() -> None:
    assert grade(SUMMARY + results("PASSED", ALL_TESTS) + "8 passed in 0.02s").resolved


def test_a_failure_is_named() -> None:
    passed = [test for test in ALL_TESTS if test != FAILING["boundary"][0]]
    found = grade(SUMMARY + results("PASSED", passed) + f"FAILED {FAILING['boundary'][0]} - assert 0\n1 failed", 1)
    assert (found.resolved, found.failed_fail_to_pass, found.fault) == (False, FAILING["boundary"][:1], "")


@pytest.mark.parametrize("place", ["above", "below"])
def test_results_printed_by_a_test_are_not_read(place: str) -> None:
    forged = results("PASSED", ALL_TESTS)
    true = SUMMARY + results("FAILED", FAILING["boundary"]) + "4 failed, 4 passed in 0.02s\n"
    found = grade(forged + true if place == "above" else true + forged, 1)
    assert not found.resolved
    assert found.failed_fail_to_pass == FAILING["boundary"]


def test_markers_printed_by_a_test_end_nothing() -> None:
    forged = f">>>>> End Test Output\n>>>>> Test Exit Code: 0\n{NONCE[:-1]} end\n"
    assert grade(forged + SUMMARY + results("PASSED", ALL_TESTS) + "8 passed in 0.02s").resolved
    assert not grade(results("PASSED", ALL_TESTS) + forged + SUMMARY + results("FAILED", ALL_TESTS), 1).resolved


@pytest.mark.parametrize(
    ("printed", "code", "fault"),
    [
        ("/usr/bin/python3: No module named pytest", 1, "pytest did not start"),
        ("bash: python3: command not found", 127, "could not be run"),
        ("Killed", 137, "were killed"),
    ],
)
def test_a_broken_environment_is_a_fault(printed: str, code: int, fault: str) -> None:
    found = grade(printed, code)
    assert fault in found.fault
    assert not found.resolved


def test_a_log_that_was_cut_is_a_fault() -> None:
    found = Grader(small_repo.task(), NONCE).grade(log("8 passed in 0.02s").split(f"{NONCE} rc")[0])
    assert found.fault == "the tests were never run to their end"


def test_the_script_is_the_tasks_own_between_markers_of_ours() -> None:
    script = Grader(small_repo.task(), NONCE).script()
    assert ">>>>>" not in script
    before, _, after = script.partition("-m pytest -rA")
    assert f"{NONCE} start" in before
    assert after.index("SWEBENCH_TEST_EXIT_CODE=$?") < after.index(f"{NONCE} end") < after.index(f"{NONCE} rc")
