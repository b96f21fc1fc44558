"""Code repair as an RL task, in real containers: the prompt, the reward, and the environment of many turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pyarrow.parquet as pq
import pytest
import small_repo

from contextrl_data.pipeline.errors import InputError, RunError
from contextrl_data.stages.coding.repair_answer import Shown
from contextrl_data.stages.coding.repair_tasks import repair_task, write_repair_tasks
from contextrl_data.stages.coding.reward import Judge, TestsPass
from contextrl_data.stages.coding.rl_environment import _JUDGES, RepairEnvironment
from contextrl_data.stages.coding.sandbox import connect

pytestmark = pytest.mark.docker
FIX = """\
<think>The loop ends too early.</think>
<<<<<<< SEARCH
    while start + size < len(values):
=======
    while start + size <= len(values):
>>>>>>> REPLACE"""
SED = "sed -i 's/start + size < len/start + size <= len/' spans/windows.py"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = connect()
    small_repo.build(found, tmp_path_factory.mktemp("image"))
    yield found
    found.close()


@pytest.fixture
def row(client: Any, run_id: str) -> dict[str, Any]:
    """The task of a bug in the small repository."""
    made = repair_task(client, small_repo.task(), "file", run_id)
    assert isinstance(made, dict)
    return made


@pytest.fixture
def reward(client: Any) -> Iterator[TestsPass]:
    judge = TestsPass()
    yield judge
    judge._judge.close()


def containers(client: Any, judge: Judge) -> list[Any]:
    found: list[Any] = client.containers.list(all=True, filters={"label": f"contextrl-data={judge.run_id}"})
    return found


def test_the_prompt_shows_the_issue_and_the_source_as_the_container_has_it(row: dict[str, Any]) -> None:
    assert small_repo.REPORT.strip() in row["question"]
    assert "while start + size < len(values):" in row["question"]
    assert Shown(**json.loads(row["shown"])).lines == small_repo.WINDOWS.replace(*small_repo.BUGS["boundary"])
    assert json.loads(row["task"]) == small_repo.task()
    assert small_repo.task()["patch"] not in row["question"]


def test_a_repair_gets_one_and_anything_else_nothing(row: dict[str, Any], reward: TestsPass) -> None:
    said = [
        FIX,
        "I do not know.",
        FIX.replace("<= len", "< 1 + 1 + len"),
        FIX.replace("<= len", "=< len"),
        "```diff\nx\n```\n",
    ]
    completions = [[{"role": "assistant", "content": text}] for text in said]
    metrics: dict[str, float] = {}
    scores = reward(completions, [row["task"]] * 5, [row["shown"]] * 5, log_metric=metrics.__setitem__)
    assert scores == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert metrics["repair/resolved"] == metrics["repair/no_answer"] == metrics["repair/patch_failed"] == 0.2


# The Docker SDK leaves the socket of a refused connection unclosed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_docker_being_away_is_no_reward(row: dict[str, Any], reward: TestsPass, refused_docker: str) -> None:
    here, reward._judge.client = reward._judge.client, docker.DockerClient(base_url=refused_docker, version="1.43")
    assert reward([FIX], [row["task"]], [row["shown"]]) == [None]
    reward._judge.client.close()
    reward._judge.client = here
    assert reward([FIX], [row["task"]], [row["shown"]]) == [1.0], "and it was not remembered"


def test_a_task_that_does_not_fit_its_image_is_refused(row: dict[str, Any], reward: TestsPass, client: Any) -> None:
    strange = small_repo.task(setup_patch=small_repo.diff("no/such.py", "a\n", "b\n"))
    with pytest.raises(InputError, match=r"small__spans\.1\.boundary cannot be run.* — take it out"):
        reward([FIX], [json.dumps(strange)], [row["shown"]])
    assert containers(client, reward._judge) == []


def test_tests_that_never_end_get_nothing(row: dict[str, Any], client: Any) -> None:
    class Hasty(TestsPass):
        timeout = 5.0

    endless = FIX.replace("while start + size <= len(values):\n>", "while True:\n        start += 0\n>")
    hasty = Hasty()
    assert hasty([endless], [row["task"]], [row["shown"]]) == [0.0]
    assert containers(client, hasty._judge) == []
    hasty._judge.close()


def test_a_dataset_is_written_and_split_by_function(client: Any, tmp_path: Path, run_id: str) -> None:
    tasks = [small_repo.task(), small_repo.task("step"), small_repo.task(id="other", symbol="pairs")]
    tasks.append(small_repo.task(id="silent", problem_statement=" "))
    counts, left_out = write_repair_tasks(tasks, tmp_path / "tasks", show="symbol", held_out=0.5, run_id=run_id)
    assert sorted(counts.values()) == [1, 2]
    assert left_out == {"task without an issue": 1}
    rows = [row for path in (tmp_path / "tasks" / "data").glob("*") for row in pq.read_table(path).to_pylist()]
    assert {row["id"] for row in rows} == {tasks[0]["id"], tasks[1]["id"], "other"}
    shown = {row["id"]: Shown(**json.loads(row["shown"])).lines for row in rows}
    assert shown["other"].startswith("def pairs(values):\n")
    before = {path.name: path.read_bytes() for path in (tmp_path / "tasks" / "data").glob("*")}
    write_repair_tasks(tasks[::-1], tmp_path / "tasks", show="symbol", held_out=0.5, run_id=run_id)
    assert {path.name: path.read_bytes() for path in (tmp_path / "tasks" / "data").glob("*")} == before
    (tmp_path / "tasks" / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="holds something else"):
        write_repair_tasks(tasks, tmp_path / "tasks", run_id=run_id)


def test_an_agent_works_turn_by_turn_and_is_judged_in_a_fresh_container(row: dict[str, Any], client: Any) -> None:
    environment = RepairEnvironment()
    environment.reset(task=row["task"], prompt="ignored")
    assert "start + size < len" in environment.bash("grep -n 'start + size' spans/windows.py")
    assert environment.bash("exit 3").startswith("exit code 3")
    assert environment.get_reward() == 0.0
    environment.reset(task=row["task"])
    assert environment.bash(SED).startswith("exit code 0")
    assert environment.get_reward() == 1.0
    environment.reset(task=row["task"])
    assert "start + size < len" in environment.bash("cat spans/windows.py"), "nothing is left of the rollout before"
    assert containers(client, _JUDGES[0])
    assert environment.get_reward() == 0.0
    assert containers(client, _JUDGES[0]) == []


def test_a_command_without_end_ends_the_rollout(row: dict[str, Any]) -> None:
    class Hasty(RepairEnvironment):
        turn_timeout = 2.0

    environment = Hasty()
    environment.reset(task=row["task"])
    assert "the container is gone" in environment.bash("sleep 60")
    assert "the container is gone" in environment.bash(SED)
    assert environment.get_reward() == 0.0
