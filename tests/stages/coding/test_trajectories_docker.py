"""Runs on disk and the task set that they worked on: labels that nobody gave are found out in real containers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import small_repo

from contextrl_data.pipeline.build import find_build
from contextrl_data.pipeline.cli import main
from contextrl_data.pipeline.stage import Context, Keep, Row
from contextrl_data.stages.coding.rollouts import Attempts, AttemptsConfig, RolloutConfig, Rollouts
from contextrl_data.stages.coding.sandbox import connect
from contextrl_data.stages.coding.scripted import ScriptedConfig
from contextrl_data.stages.coding.tasksets import TaskSetConfig, TaskSets

pytestmark = pytest.mark.docker

RUN = "test-trajectories"
TEST_COMMAND = "python3 -m pytest -rA --tb=no -p no:cacheprovider"
ISSUES = {
    "boundary": small_repo.REPORT,
    "step": """`windows` with a step leaves out values

```python
>>> from spans.windows import windows
>>> windows([1, 2, 3], 2)
```

The next list begins behind the last one, and not a `step` further; the values between are in no list.
""",
}
USELESS = small_repo.diff(
    "spans/windows.py",
    small_repo.WINDOWS.replace(*small_repo.BUGS["boundary"]),
    small_repo.WINDOWS.replace(*small_repo.BUGS["boundary"]).replace("found = []", "found = list()"),
)


def instance(bug: str) -> str:
    return f"small__spans.11111111.{bug}__0a1b2c3d"


@pytest.fixture(scope="module")
def task_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SWE-smith's columns: the patch makes the bug, and there is neither a script nor a commit."""
    folder = tmp_path_factory.mktemp("tasks")
    client = connect()
    small_repo.build(client, folder)
    client.close()
    rows = []
    for bug, issue in ISSUES.items():
        task = small_repo.task(bug)
        rows.append(
            {
                "instance_id": instance(bug),
                "repo": "swesmith/small__spans.11111111",
                "image_name": small_repo.TAG,
                "patch": task["setup_patch"],
                "FAIL_TO_PASS": task["fail_to_pass"],
                "PASS_TO_PASS": task["pass_to_pass"],
                "problem_statement": issue,
            }
        )
    path = folder / "tasks.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def runs(task_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as mini-swe-agent leaves it: one file a run, and nobody's word on who solved what."""
    folder = tmp_path_factory.mktemp("runs")
    stage = Rollouts(RolloutConfig(scripted=ScriptedConfig(detour_share=0.0, give_up_share=0.0)))
    stage.open(Context(folder=folder, run_id=RUN))
    tasks = TaskSets(TaskSetConfig(path=str(task_set), test_command=TEST_COMMAND)).items()
    for _, outcome in tasks:
        assert isinstance(outcome, Keep)
        attempts = Attempts(AttemptsConfig()).process(outcome.rows[0])
        assert isinstance(attempts, Keep)
        rolled = stage.process(attempts.rows[0])
        assert isinstance(rolled, Keep)
        assert rolled.rows[0]["resolved"] is None
        write(folder, rolled.rows[0]["instance_id"], rolled.rows[0])
    stage.close()
    return folder


def write(folder: Path, name: str, run: Row, **more: Any) -> None:
    info = {"exit_status": run["exit_status"], "submission": run["patch"]}
    whole = {"info": info, "messages": run["messages"], "trajectory_format": "mini-swe-agent-1.1", **more}
    (folder / name).mkdir()
    (folder / name / f"{name}.traj.json").write_text(json.dumps(whole))


def read(folder: Path, bug: str) -> Row:
    name = instance(bug)
    found = json.loads((folder / name / f"{name}.traj.json").read_text())
    return {"messages": found["messages"], **found["info"], "patch": found["info"]["submission"]}


Build = Callable[..., tuple[int, str]]


@pytest.fixture
def build(tmp_path: Path, task_set: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Build:
    def run(folder: Path, *settings: str) -> tuple[int, str]:
        chosen = [
            f"trajectories.path={folder}",
            f"taskset.path={task_set}",
            f"taskset.test_command={TEST_COMMAND}",
            "cascade.require_resolved=false",
            f"run.root={tmp_path / 'runs'}",
            "run.workers=1",
            *settings,
        ]
        arguments = [part for setting in chosen for part in ("--set", setting)]
        monkeypatch.setattr(sys, "argv", ["contextrl-data", "build", "coding", "--config", "trajectories", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return run


def test_runs_without_labels_are_evaluated_and_their_pairs_checked_both_ways(
    build: Build, runs: Path, tmp_path: Path
) -> None:
    code, told = build(runs)
    assert code == 0, told
    made = find_build(tmp_path / "runs", None)
    pairs = [
        row
        for file in sorted((made.path / "dataset/data").glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]
    assert {pair["direction"] for pair in pairs} == {"forward", "reverse"}
    for pair in pairs:
        assert [check["passed"] for check in pair["checks"]] == [True, True]
        assert [check["detail"] for check in pair["checks"]] == ["resolved", "unresolved"]
        assert (pair["resolved_pos"], pair["resolved_neg"]) == (True, True)  # executed, so known
        assert (pair["verdict"], pair["judge"]) == ("VALID", "rules")
        assert (pair["repo"], pair["commit"]) == ("small/spans", "11111111")
    counts = {row.stage: (row.rows_in, row.kept) for row in made.funnel()}
    assert counts["trajectories"] == (2, 2)
    assert counts["check"] == (1, 1)


def test_a_run_that_did_not_solve_its_task_makes_no_pair(build: Build, runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    write(folder, instance("step"), read(runs, "step"))
    write(folder, instance("boundary"), {**read(runs, "boundary"), "patch": USELESS})
    code, told = build(folder)
    assert code == 2
    assert "nothing is left after check (1 rows in: dropped 1 execution check contradicts the label)" in told


def test_runs_of_tasks_that_are_not_in_the_set_are_told(build: Build, runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    write(folder, instance("step"), read(runs, "step"))
    other = instance("boundary").replace("boundary", "another")
    write(folder, other, read(runs, "boundary"))
    code, told = build(folder)
    assert code == 2
    assert "dropped 1 no task to run the execution check in" in told
