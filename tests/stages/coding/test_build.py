"""`build coding`, end to end in real Docker, on the smoke config."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.build import BuildFolder, find_build
from contextrl_data.pipeline.estimate import Estimate
from contextrl_data.pipeline.plan import keys_of
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding import rl_environment
from contextrl_data.stages.coding.build import build_coding_pairs, plan_coding_pairs, steps
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.coding.daemon import LABEL, connect
from contextrl_data.stages.coding.repair_answer import Shown
from contextrl_data.stages.coding.reward import TestsPass
from contextrl_data.stages.coding.rl_environment import RepairEnvironment
from contextrl_data.stages.coding.scripted import ScriptedConfig, ScriptedModel

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_client")]


def smoke(root: Path, *settings: str) -> CodingConfig:
    return configs.load(CodingConfig, configs.find("smoke/coding"), [f"run.root={root}", *settings])


def run(config: CodingConfig) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=160)
    code = build_coding_pairs(config, console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> tuple[CodingConfig, Estimate]:
    """What is expected before anything has run."""
    config = smoke(tmp_path_factory.mktemp("runs"))
    return config, plan_coding_pairs(config, Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def started() -> Counter[str]:
    """Containers that the build has started, by the key of the stage."""
    return Counter()


@pytest.fixture(scope="module")
def built(forecast: tuple[CodingConfig, Estimate], started: Counter[str]) -> tuple[BuildFolder, str, CodingConfig]:
    config, _ = forecast
    with counted(started):
        code, told = run(config)
    assert code == 0, told
    return find_build(config.run.root, None), told, config


@contextmanager
def counted(started: Counter[str]) -> Iterator[None]:
    """Listen to the daemon while a build runs."""
    client = connect()
    events = client.events(decode=True, filters={"event": "create", "label": LABEL})
    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(lambda: started.update(event["Actor"]["Attributes"][LABEL] for event in events))
        yield
        events.close()
        listening.result()
    client.close()


def test_the_plan_before_foretells_the_run_and_the_plan_after_reuses_it(
    forecast: tuple[CodingConfig, Estimate], started: Counter[str], built: tuple[BuildFolder, str, CodingConfig]
) -> None:
    """One package and a handful of tasks, by yields of the demo: a factor of 3 for every count and for the disk, of 2.5
    for all containers. A container a row is no matter of yields, and is held to the row."""
    config, before = forecast
    build = built[0]
    real = {row.stage: row.rows_out for row in build.funnel()}
    for one in before.stages:
        assert real[one.stage] / 3 <= one.rows_out <= real[one.stage] * 3, one.stage
    seen = {stage: started[key] for stage, key in build.stages if started[key]}
    assert seen.keys() <= {one.stage for one in before.stages if one.containers}
    rows_in = {row.stage: row.rows_in for row in build.funnel()}
    for step in steps(config):
        name = step.stage.name
        if name in ("packages", "validate", "rollouts"):
            assert seen[name] >= step.stage.outlook(rows_in[name], {}).containers, name
    assert sum(seen.values()) / 2.5 <= before.containers <= sum(seen.values()) * 2.5
    used = sum(path.stat().st_size for _, key in build.stages for path in config.run.root.glob(f"*-{key}/**/*.*"))
    assert used / 3 <= before.disk_bytes <= used * 3
    after = plan_coding_pairs(config, Console(file=io.StringIO()))
    assert {one.state for one in after.stages} == {"reused"}
    assert {one.stage: one.rows_out for one in after.stages} == real
    assert (after.containers, after.calls, after.disk_bytes) == (0, 0, 0)


@pytest.fixture(scope="module")
def pairs(built: tuple[BuildFolder, str, CodingConfig]) -> list[Row]:
    files = sorted((built[0].path / "dataset" / "data").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_it_ends_by_naming_the_dataset_the_report_and_the_next_command(
    built: tuple[BuildFolder, str, CodingConfig],
) -> None:
    build, told, _ = built
    for words in (f"{build.path}/dataset", f"{build.path}/report.html", "contextrl-data status", "95 % interval"):
        assert words in told
    assert (build.path / "report.html").stat().st_size > 10_000
    card = (build.path / "dataset" / "README.md").read_text()
    assert "arXiv" in card
    assert "## Audit" in card
    assert "audit: " in told


def test_every_stage_accounts_for_every_row(built: tuple[BuildFolder, str, CodingConfig]) -> None:
    build, _, config = built
    wanted = [step.stage.name for step in steps(config)]
    assert [row.stage for row in build.funnel()] == wanted
    for row in build.funnel():
        assert row.kept + sum(row.dropped.values()) + sum(row.failed.values()) == row.rows_in
        assert row.failed == {}


def test_both_kinds_of_pairs_in_both_directions_and_balanced(pairs: list[Row]) -> None:
    assert {pair["kind"] for pair in pairs} == {"sibling", "outcome"}
    by_pair = Counter(pair["pair_id"] for pair in pairs)
    assert set(by_pair.values()) == {2}
    for pair in pairs:
        assert pair["answer"] != pair["answer_neg"]
        assert pair["context_pos"] != pair["context_neg"]
    for name in ("longer", "first"):
        scores = [score["value"] for pair in pairs for score in pair["blind_scores"] if score["name"] == name]
        assert sum(scores) == len(pairs) / 2


def test_all_sibling_pairs_have_both_execution_checks_on_record(pairs: list[Row]) -> None:
    siblings = [pair for pair in pairs if pair["kind"] == "sibling"]
    assert siblings
    for pair in siblings:
        assert [check["passed"] for check in pair["checks"]] == [True, True]
        assert pair["resolved_pos"] is pair["resolved_neg"] is True


def test_no_added_line_of_the_answer_is_readable_in_its_context(pairs: list[Row]) -> None:
    for pair in pairs:
        shown = "".join("".join(message["content"].split()) for message in pair["context_pos"])
        for line in pair["answer"].splitlines():
            folded = "".join(line[1:].split())
            if line.startswith("+") and not line.startswith("+++") and len(folded) > 12:
                assert folded not in shown, pair["id"]


def test_load_dataset_reads_it_offline(built: tuple[BuildFolder, str, CodingConfig], pairs: list[Row]) -> None:
    script = (
        "import sys; from datasets import load_dataset;"
        "d = load_dataset(sys.argv[1]); print(sum(map(len, d.values())), d['train'][0]['correct_option'])"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(built[0].path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(built[0].path / "dataset")], capture_output=True, text=True, env=offline
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == str(len(pairs))


def test_a_second_run_reuses_everything_and_leaves_no_container(
    built: tuple[BuildFolder, str, CodingConfig],
    docker_client,  # type: ignore[no-untyped-def]
) -> None:
    _, _, config = built
    code, told = run(config)
    assert code == 0
    assert told.count("[already done]") == len(steps(config))
    runs = set(keys_of(steps(config)).values())
    left = docker_client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    assert not [container for container in left if container.labels[LABEL] in runs]


def test_a_changed_cap_reruns_only_the_selection(built: tuple[BuildFolder, str, CodingConfig]) -> None:
    _, _, config = built
    code, told = run(config.model_copy(update={"select": config.select.model_copy(update={"target_pairs": 8})}))
    assert code == 0
    assert told.count("[already done]") == len(steps(config)) - 3
    assert re.search(r"selected 8 of 16 pairs", told)


@pytest.fixture(scope="module")
def repairs(built: tuple[BuildFolder, str, CodingConfig], tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The build's tasks as RL tasks, as a user writes them."""
    build, output = built[0], tmp_path_factory.mktemp("repairs")
    words = ["tasks", build.path.name, "--root", str(build.path.parent), "--output", str(output)]
    done = subprocess.run([sys.executable, "-m", "contextrl_data.pipeline.cli", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [row for file in sorted((output / "data").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_the_reward_knows_the_fix_of_a_packages_task_from_its_bug(repairs: list[Row]) -> None:
    row = repairs[0]
    task = json.loads(row["task"])
    assert task["source"].startswith("semver")
    gold = f"The fix:\n\n```diff\n{task['patch']}```"
    reward = TestsPass()
    try:
        found = reward([gold, "Nothing has to be done.", comment_only(row)], [row["task"]] * 3, [row["shown"]] * 3)
    finally:
        reward._judge.close()
    assert found == [1.0, 0.0, 0.0], "the fix, no answer, and a change that leaves the bug"


def comment_only(row: Row) -> str:
    """An answer that can be applied and changes nothing."""
    lines = Shown(**json.loads(row["shown"])).lines.splitlines()
    line = next(line for line in lines if line.lstrip().startswith("def ") and lines.count(line) == 1)
    return f"<<<<<<< SEARCH\n{line}\n=======\n# looked at\n{line}\n>>>>>>> REPLACE"


def test_an_agent_repairs_a_packages_task_in_the_environment(repairs: list[Row]) -> None:
    """The scripted policy, with the `bash` tool and nothing else."""
    row = repairs[0]
    environment = RepairEnvironment()
    try:
        environment.reset(task=row["task"])
        assert environment._sandbox is not None
        task = {**json.loads(row["task"]), "attempt": 0}
        policy = ScriptedModel(task, environment._sandbox, ScriptedConfig(), 0, {"observation_template": ""})
        messages: list[dict[str, Any]] = []
        seen: list[str] = []
        for _ in range(40):
            (action,) = policy.query(messages)["extra"]["actions"]
            if "COMPLETE_TASK" in action["command"]:
                break
            first, _, shown = environment.bash(action["command"]).partition("\n")
            seen.append(first)
            messages = [{"extra": {"raw_output": shown, "returncode": int(first.removeprefix("exit code "))}}]
        assert len(seen) > 3
        assert environment.get_reward() == 1.0

        environment.reset(task=row["task"])
        environment.bash("ls")
        assert environment.get_reward() == 0.0, "the bug is still there"
    finally:
        environment._close()
        for judge in rl_environment._JUDGES:
            judge.close()
        rl_environment._JUDGES.clear()
