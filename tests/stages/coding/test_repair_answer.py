"""Answers to repair tasks: what counts as one, and the patch that it amounts to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.coding.repair_answer import Shown, lines_of, patch_of, unified
from contextrl_data.stages.coding.repair_tasks import excerpt

TEXT = "def a():\n    return 1\n\n\ndef b():\n    return 1\n"
WHOLE = Shown("m.py", TEXT, 0, 6)


def block(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE"


def applied(patch: str, text: str, folder: Path) -> str:
    (folder / "m.py").write_bytes(text.encode())
    (folder / "p.diff").write_bytes(patch.encode())
    subprocess.run(["git", "apply", "p.diff"], cwd=folder, check=True, capture_output=True)
    return (folder / "m.py").read_bytes().decode()


def test_a_block_becomes_a_patch_that_git_applies(tmp_path: Path) -> None:
    patch = patch_of("It is b.\n\n" + block("def b():\n    return 1\n", "def b():\n    return 2\n"), WHOLE)
    assert patch is not None
    assert applied(patch, TEXT, tmp_path) == TEXT.replace("def b():\n    return 1", "def b():\n    return 2")


def test_blocks_are_applied_one_after_another(tmp_path: Path) -> None:
    said = block("def a():\n", "def c():\n") + "\n" + block("def c():\n    return 1\n", "")
    patch = patch_of(said, WHOLE)
    assert patch is not None
    assert applied(patch, TEXT, tmp_path) == "\n\ndef b():\n    return 1\n"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "return 2",
        block("    return 1\n", "    return 2\n"),  # twice in the file
        block("    return 3\n", "    return 2\n"),  # not there
        block("return 1\n", "return 2\n"),  # no whole line
        block("", "import os\n"),
        block("\n", "import os\n"),
        "<think>" + block("def b():\n", "def c():\n") + "</think>",
        "<<<<<<< SEARCH\ndef b():\n=======\ndef c():\n",
    ],
)
def test_what_does_not_mean_one_thing_is_no_answer(said: str) -> None:
    assert patch_of(said, WHOLE) is None


def test_what_stands_twice_in_the_file_may_stand_once_in_what_was_shown(tmp_path: Path) -> None:
    shown = excerpt("m.py", TEXT, "b")
    assert shown is not None
    patch = patch_of(block("    return 1\n", "    return 2\n"), shown)
    assert patch is not None
    assert applied(patch, TEXT, tmp_path) == TEXT[:-2] + "2\n"


def test_no_change_is_an_empty_patch() -> None:
    assert patch_of(block("def b():\n", "def b():\n"), WHOLE) == ""


def test_the_last_diff_counts_and_is_taken_as_it_is() -> None:
    said = "```diff\nfirst\n```\nno, this:\n```diff\n--- a/m.py\n+++ b/m.py\n```\n"
    assert patch_of(said, WHOLE) == "--- a/m.py\n+++ b/m.py\n"


@given(st.text())
def test_no_text_is_too_odd(said: str) -> None:
    assert patch_of(said, WHOLE) is None or "SEARCH" in said or "```" in said


@given(
    st.text(st.sampled_from("ab\n\f "), max_size=30), st.integers(0, 5), st.text(st.sampled_from("cd\n"), max_size=8)
)
def test_a_block_changes_just_what_it_names(text: str, place: int, new: str) -> None:
    lines = lines_of(text)
    new = "".join(lines_of(new)[:2])
    new = new if not new or new.endswith("\n") else new + "\n"
    if place >= len(lines) or not lines[place].strip() or lines.count(lines[place]) > 1:
        return
    old = lines[place] if lines[place].endswith("\n") else lines[place] + "\n"
    if any(line.rstrip("\n") == old.rstrip("\n") for i, line in enumerate(lines) if i != place):
        return
    expected = [*lines[:place], *lines_of(new), *lines[place + 1 :]]
    ended = text.endswith("\n") or not expected
    expected_text = "".join(expected) if ended else "".join(expected).removesuffix("\n")
    found = patch_of(block(old, new), Shown("m.py", text, 0, len(lines)))
    assert found == unified("m.py", lines, lines_of(expected_text))


def test_an_excerpt_is_a_function_with_its_decorators() -> None:
    text = "x = 1\n\nclass C:\n    @property\n    def f(self):\n        return 1\n\ndef f():\n    pass\n"
    inner, outer = excerpt("m.py", text, "C.f"), excerpt("m.py", text, "f")
    assert inner is not None
    assert outer is not None
    assert inner.lines == "    @property\n    def f(self):\n        return 1\n"
    assert outer.lines == "def f():\n    pass\n"
    assert excerpt("m.py", text, "g") is None
    assert excerpt("m.py", "def", "g") is None
