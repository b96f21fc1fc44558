"""The scripted agent's parts: its commands do what they say when bash runs them, and it quotes what it saw."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
import small_repo

from contextrl_data.stages.coding.scripted_case import reproduction, runner_of
from contextrl_data.stages.coding.scripted_edits import STYLES, change_between, edit_command
from contextrl_data.stages.coding.scripted_words import read_output, summary_of

BUGGY = small_repo.WINDOWS.replace(*small_repo.BUGS["boundary"])
SPAN = (6, 20)
AFTERS = {
    "one line": small_repo.WINDOWS,
    "a line less": BUGGY.replace('    positive("step", step)\n', ""),
    "two lines more": BUGGY.replace("    found = []\n", "    found = []\n    if not values:\n        return found\n"),
    "quotes and slashes": BUGGY.replace("found = []", "found = list('\\n&|')"),
}


@pytest.mark.parametrize("after", AFTERS)
def test_every_edit_gives_exactly_the_text_it_is_for(after: str, tmp_path: Path) -> None:
    change = change_between(BUGGY, AFTERS[after])
    seen = set()
    for seed in range(25):
        (tmp_path / "spans").mkdir(exist_ok=True)
        path = tmp_path / "spans" / "windows.py"
        path.write_text(BUGGY)
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        command = edit_command("spans/windows.py", BUGGY, change, SPAN, random.Random(seed))
        subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True, capture_output=True)
        assert path.read_text() == AFTERS[after]
        seen.add(command)
    assert len(seen) == (len(STYLES) if after == "one line" else len(seen))
    assert len(seen) >= 2


@pytest.mark.parametrize(
    ("report", "script"),
    [
        ("```python\n>>> from a import f\n>>> f(1)\n2\n```", "from a import f\nprint(repr(f(1)))"),
        ("Text.\n\n>>> f(1)\n2\n", "print(repr(f(1)))"),
        ("```python\nassert f(1) == 3\n```", "print('got: ', repr(f(1)))\nprint('want:', repr(3))"),
        ("```\n$ ls --not python\n```\nnothing", ""),
        ("no code at all", ""),
    ],
)
def test_the_reports_example_becomes_a_script(report: str, script: str) -> None:
    assert reproduction(report) == script


def test_what_is_quoted_is_what_was_printed() -> None:
    rng = random.Random(0)
    compared = read_output("x\nE   assert [1] == [1, 2]\nE     more\n1 failed in 0.00s", 1)
    assert (compared.got, compared.want, compared.failed) == ("[1]", "[1, 2]", True)
    assert "[1]" in compared.told(rng)
    raised = read_output("Traceback (most recent call last):\n  File\nValueError: no `x` here", 1)
    assert raised.error == "ValueError: no 'x' here"
    assert read_output("got:  1\nwant: 1\n", 0).failed is False
    assert read_output("got:  1\nwant: 2\n", 0).failed is True
    assert read_output("[[1, 2]]\n", 0).line == "[[1, 2]]"
    assert summary_of("..\n=== 2 passed in 0.00s ===\n") == "2 passed in 0.00s"


def test_tests_are_run_as_the_task_runs_them() -> None:
    assert runner_of(small_repo.EVAL_SCRIPT) == "python3 -m pytest"
    assert runner_of("A=1 python3 -m pytest -rA -o addopts= x") == "A=1 python3 -m pytest -o addopts="
    assert runner_of("pytest -rA x") == "pytest"
