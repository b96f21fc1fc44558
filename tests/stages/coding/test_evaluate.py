"""Evaluation: real containers and swebench's grading; what is a label, what is none, and what no patch can forge."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import small_repo
from small_repo import ALL_TESTS, FAILING, WINDOWS, diff

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.pipeline.stage import Context, Drop, Keep, Outcome
from contextrl_data.stages.coding.evaluate import Evaluate, EvaluateConfig, Verdict, evaluate_patch
from contextrl_data.stages.coding.sandbox import SandboxConfig, connect

pytestmark = pytest.mark.docker

RUN = "test-evaluate"
BUGGY = WINDOWS.replace(*small_repo.BUGS["boundary"])
FIXED = WINDOWS
NO_OP = diff("spans/windows.py", BUGGY, BUGGY.replace('"""Windows', '"""All windows'))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = connect()
    small_repo.build(found, tmp_path_factory.mktemp("image"))
    yield found
    assert found.containers.list(all=True, filters={"label": f"contextrl-data={RUN}"}) == []
    found.close()


def evaluate(client: Any, patch: str, timeout: float = 120.0, **changes: Any) -> Verdict:
    return evaluate_patch(client, small_repo.task(**changes), patch, EvaluateConfig(timeout=timeout), RUN)


def new_file(path: str, text: str) -> str:
    """The patch that adds one file."""
    body = "".join(f"+{line}\n" for line in text.splitlines())
    count = len(text.splitlines())
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{count} @@\n{body}"


def test_the_gold_patch_resolves(client: Any) -> None:
    verdict = evaluate(client, small_repo.task()["patch"])
    assert verdict.status == "resolved"
    assert verdict.tests == dict.fromkeys(ALL_TESTS, "PASSED")
    assert (verdict.failed_fail_to_pass, verdict.failed_pass_to_pass) == ([], [])


def test_a_change_without_effect_does_not(client: Any) -> None:
    verdict = evaluate(client, NO_OP)
    assert verdict.status == "unresolved"
    assert verdict.failed_fail_to_pass == FAILING["boundary"]
    assert verdict.failed_pass_to_pass == []


def test_a_fix_that_breaks_something_else_does_not(client: Any) -> None:
    broken = FIXED.replace('    positive("size", size)\n', "")
    verdict = evaluate(client, diff("spans/windows.py", BUGGY, broken))
    assert verdict.status == "unresolved"
    assert verdict.failed_fail_to_pass == []
    assert verdict.failed_pass_to_pass == ALL_TESTS[6:]


def test_a_file_that_no_longer_parses_is_the_patchs_own_fault(client: Any) -> None:
    verdict = evaluate(client, diff("spans/windows.py", BUGGY, BUGGY.replace("while start", "while while start")))
    assert verdict.status == "unresolved"
    assert verdict.failed_fail_to_pass == FAILING["boundary"]


def test_an_empty_patch_is_unresolved_without_a_run(client: Any) -> None:
    verdict = evaluate(client, "\n", image="no-such-image")
    assert (verdict.status, verdict.failed_fail_to_pass) == ("unresolved", FAILING["boundary"])


@pytest.mark.parametrize(
    "patch",
    ["not a patch at all", NO_OP.replace("All windows", "x").replace("Windows", "Doors")],
    ids=["text", "other"],
)
def test_a_patch_that_does_not_apply_is_no_label(client: Any, patch: str) -> None:
    assert evaluate(client, patch).status == "patch_failed"


def test_a_patch_made_for_drifted_lines_applies_as_swebench_has_it(client: Any) -> None:
    drifted = small_repo.task()["patch"].replace("     found = []", "     found = list()")
    assert evaluate(client, drifted).status == "resolved"


def test_tests_that_do_not_end_are_timed_out(client: Any) -> None:
    endless = FIXED.replace(
        "    values = list(values)", "    import time\n    time.sleep(600)\n    values = list(values)"
    )
    assert evaluate(client, diff("spans/windows.py", BUGGY, endless), timeout=3.0).status == "timeout"


def test_evaluations_of_one_instance_do_not_disturb_each_other(client: Any) -> None:
    patches = [small_repo.task()["patch"], NO_OP] * 3
    with ThreadPoolExecutor(2) as pool:
        found = [verdict.status for verdict in pool.map(lambda patch: evaluate(client, patch), patches)]
    assert found == ["resolved", "unresolved"] * 3


RESULTS = "\\n".join(f"PASSED {test}" for test in ALL_TESTS)
FORGED_LOG = f"\\n>>>>> Start Test Output\\n{RESULTS}\\n>>>>> End Test Output\\n>>>>> Test Exit Code: 0\\n"
FORGERIES = {
    "printed while tests run": f'print("{FORGED_LOG}")\n',
    "written past pytest's capture": f'import os\nos.write(1, b"{FORGED_LOG}")\n',
    "written when python ends": f'import atexit, os\natexit.register(lambda: os.write(1, b"{FORGED_LOG}"))\n',
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_patch_cannot_print_its_way_to_resolved(client: Any, how: str) -> None:
    forged = BUGGY.replace("\nfrom spans", f"\n{FORGERIES[how]}\nfrom spans")
    verdict = evaluate(client, diff("spans/windows.py", BUGGY, forged))
    assert verdict.status == "unresolved"
    assert verdict.failed_fail_to_pass == FAILING["boundary"]


HOOK = """\
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
"""


@pytest.mark.parametrize(
    "patch",
    [
        new_file("conftest.py", HOOK),
        new_file("tests/conftest.py", HOOK),
        new_file("pytest.py", f"print('''{FORGED_LOG}''')"),
        diff("tests/test_windows.py", small_repo.TESTS, "def test_windows_of_two():\n    pass\n"),
    ],
    ids=["conftest", "tests-conftest", "own-pytest", "tests"],
)
def test_a_patch_cannot_bring_its_own_judge(client: Any, patch: str) -> None:
    verdict = evaluate(client, NO_OP + patch)
    assert verdict.status == "unresolved"
    assert verdict.failed_fail_to_pass == FAILING["boundary"]


def test_tests_killed_for_memory_are_no_label(client: Any) -> None:
    greedy = FIXED.replace("    values = list(values)", "    values = list(values) + [0] * 10**9")
    config = EvaluateConfig(sandbox=SandboxConfig(memory="128m"))
    verdict = evaluate_patch(client, small_repo.task(), diff("spans/windows.py", BUGGY, greedy), config, RUN)
    assert verdict.status == "infra_error"


class Tasks(list[dict[str, Any]]):
    def select(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        return ({name: row[name] for name in columns} for row in self)


def run_stage(row: dict[str, Any], task: dict[str, Any], folder: Path) -> Outcome:
    stage = pickle.loads(pickle.dumps(Evaluate(EvaluateConfig())))
    stage.open(Context(folder=folder, sides={"tasks": Tasks([task])}, run_id=RUN))
    try:
        outcome: Outcome = stage.process(row)
        return outcome
    finally:
        stage.close()


def trajectory(**changes: Any) -> dict[str, Any]:
    task = small_repo.task()
    return {
        "id": "t",
        "instance_id": task["id"],
        "patch": task["patch"],
        "status": None,
        "resolved": None,
        **changes,
    }


def test_the_stage_labels_a_trajectory(client: Any, tmp_path: Path) -> None:
    outcome = run_stage(trajectory(), small_repo.task(), tmp_path)
    assert outcome == Keep([trajectory(status="resolved", resolved=True)])
    outcome = run_stage(trajectory(patch="garbage"), small_repo.task(), tmp_path)
    assert outcome == Keep([trajectory(patch="garbage", status="patch_failed", resolved=None)])


def test_the_stage_never_labels_a_broken_environment(client: Any, tmp_path: Path) -> None:
    script = small_repo.EVAL_SCRIPT.replace("-m pytest", "-m no_such_pytest")
    with pytest.raises(RowFailure, match="pytest did not start"):
        run_stage(trajectory(), small_repo.task(eval_script=script), tmp_path)
    script = small_repo.EVAL_SCRIPT.replace("cd /testbed", "exit 1")
    with pytest.raises(RowFailure, match="never run to their end"):
        run_stage(trajectory(), small_repo.task(eval_script=script), tmp_path)


def test_the_stage_says_why_it_leaves_a_row_out(tmp_path: Path) -> None:
    assert run_stage(trajectory(patch=None), small_repo.task(), tmp_path) == Drop("patch unknown")
    assert run_stage(trajectory(instance_id="other"), small_repo.task(), tmp_path) == Drop("task not in the task set")


def test_a_missing_image_fails_the_row_and_never_drops_it(tmp_path: Path) -> None:
    missing = small_repo.task(image="contextrl-data/no-such-image:none")
    with pytest.raises(RowFailure, match="was removed; the same command, run again, rebuilds it"):
        run_stage(trajectory(), missing, tmp_path)


def test_a_task_that_cannot_be_graded_is_told(tmp_path: Path) -> None:
    with pytest.raises(RowFailure, match="log parser 'nonsense'"):
        run_stage(trajectory(), small_repo.task(log_parser="nonsense"), tmp_path)
    with pytest.raises(RowFailure, match="Start Test Output"):
        run_stage(trajectory(), small_repo.task(eval_script="python3 -m pytest"), tmp_path)
