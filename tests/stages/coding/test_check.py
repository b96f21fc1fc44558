"""The execution check: in real containers, with real tests and real grading."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import small_repo
from coding_rows import Listed

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Context, Drop, Keep
from contextrl_data.stages.coding.check import Check, CheckConfig
from contextrl_data.stages.coding.daemon import LABEL, connect

RUN = "test-check"


def side(task: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"instance_id": task["id"], "patch": task["patch"], "status": "resolved", "resolved": True, **changed}


def pair(first: dict[str, Any], second: dict[str, Any], kind: str = "sibling") -> dict[str, Any]:
    return {"id": "pair", "kind": kind, "first": first, "second": second}


@pytest.fixture(scope="module")
def tasks() -> Listed:
    return Listed([small_repo.task("boundary"), small_repo.task("step")])


@pytest.fixture
def stage(tasks: Listed, tmp_path: Path) -> Iterator[Check]:
    made = Check(CheckConfig())
    made.open(Context(folder=tmp_path, sides={"tasks": tasks}, run_id=RUN))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = connect()
    small_repo.build(made, tmp_path_factory.mktemp("image"))
    yield made
    made.close()


class Creations:
    """Counts the containers of this test's run as Docker creates them: its store of past events is too short to ask later."""

    def __init__(self, client: Any) -> None:
        self._client = client
        filters = {"event": "create", "label": f"{LABEL}={RUN}"}
        self._events = client.events(decode=True, filters=filters)

    def count(self) -> int:
        """How many there were; a last container of our own marks the end of the events to read."""
        last = self._client.containers.create(small_repo.TAG, labels={LABEL: RUN})
        last.remove()
        seen = list(takewhile(lambda event: event["Actor"]["ID"] != last.id, self._events))
        self._events.close()
        return len(seen)


@pytest.mark.docker
def test_answers_pass_their_own_tests_and_fail_each_others(client: Any, stage: Check, tasks: Listed) -> None:
    created = Creations(client)
    row = pair(side(tasks[0]), side(tasks[1]))
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(stage.process, [row, row]))
    names = [task["id"] for task in tasks]
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0], Keep)
    checks = outcomes[0].rows[0]["checks"]
    runs = [(0, 0), (1, 1), (0, 1), (1, 0)]
    assert [(check["patch_of"], check["tests_of"]) for check in checks] == [(names[a], names[b]) for a, b in runs]
    assert [check["status"] for check in checks[:2]] == ["resolved", "resolved"]
    # Whether the other's fix applies to lines that are sound already is up to the tool; it must not resolve.
    assert {check["status"] for check in checks[2:]} <= {"unresolved", "patch_failed"}
    assert created.count() == 2, "each answer's own tests were run when its run was evaluated"


@pytest.mark.docker
def test_an_answer_without_an_evaluation_is_run_against_its_own_tests_too(
    client: Any, stage: Check, tasks: Listed
) -> None:
    created = Creations(client)
    row = pair(*(side(task, status=None, resolved=None) for task in tasks))
    outcome = stage.process(row)
    assert isinstance(outcome, Keep)
    assert all(outcome.rows[0][one]["resolved"] is True for one in ("first", "second")), "what was executed is known"
    assert [check["status"] for check in outcome.rows[0]["checks"][:2]] == ["resolved", "resolved"]
    assert created.count() == 4


@pytest.mark.docker
def test_an_answer_that_mends_both_bugs_or_none_contradicts_the_label(client: Any, stage: Check, tasks: Listed) -> None:
    # A new file that replaces the module: it applies anywhere and mends anything.
    body = "".join(f"+{line}\n" for line in small_repo.WINDOWS.splitlines())
    lines = small_repo.WINDOWS.count("\n")
    script = f"--- /dev/null\n+++ b/spans/windows/__init__.py\n@@ -0,0 +1,{lines} @@\n{body}"
    both = side(
        tasks[0],
        patch=f"diff --git a/spans/windows/__init__.py b/spans/windows/__init__.py\nnew file mode 100644\n{script}",
    )
    assert stage.process(pair(both, side(tasks[1]))) == Drop("execution check contradicts the label")
    seen = small_repo.diff("spans/checks.py", small_repo.CHECKS, small_repo.CHECKS + "\n# seen\n")
    none = side(tasks[0], patch=seen, status=None)
    assert stage.process(pair(none, side(tasks[1]))) == Drop("execution check contradicts the label")


def test_outcome_pairs_carry_the_evaluations_on_record(stage: Check, tasks: Listed) -> None:
    good, bad = side(tasks[0]), side(tasks[0], status="unresolved", resolved=False)
    outcome = stage.process(pair(good, bad, "outcome"))
    assert isinstance(outcome, Keep)
    assert [check["status"] for check in outcome.rows[0]["checks"]] == ["resolved", "unresolved"]
    unlabelled = side(tasks[0], status=None, resolved=None)
    assert stage.process(pair(good, unlabelled, "outcome")) == Drop("execution check contradicts the label")


def test_instances_that_cannot_run_here_are_dropped_or_kept_unchecked(
    stage: Check, tasks: Listed, tmp_path: Path
) -> None:
    row = pair(side(tasks[0]), side(tasks[1], instance_id="elsewhere"))
    assert stage.process(row) == Drop("no task to run the execution check in")
    keeper = Check(CheckConfig(unknown_tasks="keep"))
    keeper.open(Context(folder=tmp_path, sides={"tasks": tasks}))
    outcome = keeper.process(row)
    keeper.close()
    assert isinstance(outcome, Keep)
    assert outcome.rows[0]["checks"] == []


def test_a_check_without_tasks_is_a_wrong_set_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="side input 'tasks'"):
        Check(CheckConfig()).open(Context(folder=tmp_path))
