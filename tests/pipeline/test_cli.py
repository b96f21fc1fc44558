"""The command line as its users meet it: help with examples, one line for every mistake, honest exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contextrl_data.pipeline.cli import app


def cli(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "contextrl_data.pipeline.cli", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


COMMANDS = [
    ["build", "coding"],
    ["build", "images"],
    ["status"],
    ["report"],
    ["doctor"],
    ["audit"],
    ["export"],
    ["publish"],
    ["tasks"],
    ["train"],
    ["probe"],
    ["compare"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"contextrl-data {' '.join(command)}" in shown.output


def test_help_shows_commands_in_the_order_of_the_work() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    places = [shown.index(f"│ {command[0]} ") for command in COMMANDS]
    assert places == sorted(places)


def test_help_and_version(tmp_path: Path) -> None:
    assert "build" in cli("--help", cwd=tmp_path).stdout
    assert cli("--version", cwd=tmp_path).stdout.startswith("contextrl-data 0.")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["build", "coding", "--config", "nothing.yaml"], "no config file 'nothing.yaml'"),
        (
            ["build", "coding", "--set", "attempts.per_tsk=3"],
            "attempts.per_tsk: no such setting; did you mean per_task?",
        ),
        (
            ["build", "coding", "--set", "run.workers=2", "--set", "run.workers.deep=3"],
            "run.workers is 2, not a mapping",
        ),
        (["build", "coding", "--set", "nonsense"], "not of the form a.b=value"),
        (["status", "nothing"], "is no build folder"),
        (["status"], "no build below data/runs"),
        (["report"], "no build below data/runs"),
    ],
)
def test_a_mistake_is_told_without_a_traceback_and_exits_2(tmp_path: Path, words: list[str], told: str) -> None:
    done = cli(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.parquet")), "nothing half written"


def test_an_unknown_command_exits_2(tmp_path: Path) -> None:
    assert cli("biuld", cwd=tmp_path).returncode == 2
