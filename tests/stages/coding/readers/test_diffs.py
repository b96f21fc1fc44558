"""Reversing a diff, proved by git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contextrl_data.stages.coding.readers.diffs import is_diff, normal_patch, patch_paths, reverse_patch

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false")


def git(folder: Path, *command: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *command], cwd=folder, input=stdin.encode(), capture_output=True, check=True
    )
    return done.stdout.decode()


def repository(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start", "--allow-empty")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


CHANGES = {
    "lines": ({"a.py": "1\n2\n3\n4\n5\n"}, {"a.py": "1\ntwo\n3\n4\n5\n6\n"}, []),
    "no newline at the end": ({"a.py": "1\n2"}, {"a.py": "1\n2\n3"}, []),
    "newline is added": ({"a.py": "1\n2"}, {"a.py": "1\n2\n"}, []),
    "a new file": ({"a.py": "1\n"}, {"b/c.py": "1\n2\n"}, []),
    "a file goes": ({"a.py": "1\n", "b.py": "2\n"}, {}, ["b.py"]),
    "a file moves and changes": ({"a.py": "1\n2\n3\n4\n5\n6\n"}, {"b.py": "1\n2\n3\n4\n5\n7\n"}, ["a.py"]),
    "lines that look like headers": ({"a.sql": "-- one\n-- two\nx\n"}, {"a.sql": "++ one\nx\n-- three\n"}, []),
    "carriage returns": ({"a.py": "1\r\n2\r\n3\r\n"}, {"a.py": "1\r\n2\r\n4\r\n"}, []),
    "two files": ({"a.py": "1\n", "b.py": "1\n"}, {"a.py": "2\n", "b.py": "3\n"}, []),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_reverse_undoes_the_change_and_is_what_git_would_write(case: str, tmp_path: Path) -> None:
    before, after, gone = CHANGES[case]
    repo = tmp_path / "repo"
    repository(repo, before)
    write(repo, after)
    for name in gone:
        (repo / name).unlink()
    git(repo, "add", "-A")
    there, back = (
        git(repo, "diff", "--cached", "-M", *extra) for extra in ([], ["-R", "--src-prefix=b/", "--dst-prefix=a/"])
    )
    ours = reverse_patch(there)
    git(repo, "apply", "--index", stdin=ours)
    assert git(repo, "status", "--porcelain") == ""
    assert reverse_patch(ours) == there
    # git may order a rename's headers in its own way; the hunks are the same to the letter
    assert [line for line in ours.split("\n") if line[:1] in "+-@ "] == [
        line for line in back.split("\n") if line[:1] in "+-@ "
    ]


texts = st.lists(st.sampled_from(["a", "b", "-- c", "++ d", "", "\\ e", "@@ -1 +1 @@"]), max_size=8).map("\n".join)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=texts, after=texts)
def check_round_trip(folder: Path, before: str, after: str) -> None:
    for name, text in (("x", before), ("y", after)):
        (folder / name).write_bytes(text.encode())
    done = subprocess.run(
        ["git", "diff", "--no-index", "--src-prefix=a/", "--dst-prefix=b/", "x", "y"], cwd=folder, capture_output=True
    )
    patch = done.stdout.decode().replace("b/y", "b/x")
    if not patch:
        return
    assert reverse_patch(reverse_patch(patch)) == patch
    (folder / "x").write_bytes(after.encode())
    subprocess.run(
        ["git", "apply", "-"], cwd=folder, input=reverse_patch(patch).encode(), check=True, capture_output=True
    )
    assert (folder / "x").read_bytes() == before.encode()


def test_any_change_of_text_can_be_undone(tmp_path: Path) -> None:
    check_round_trip(tmp_path)


def test_a_binary_change_cannot_be_reversed() -> None:
    with pytest.raises(ValueError, match="binary"):
        reverse_patch("diff --git a/x b/x\nindex 1..2 100644\nGIT binary patch\nliteral 1\nx\n")


def test_paths_and_kind_of_a_diff() -> None:
    patch = "diff --git a/old name.py b/new.py\nrename from old name.py\nrename to new.py\n"
    assert patch_paths(patch) == ["old name.py", "new.py"]
    assert patch_paths("--- a/x.py\t2020\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n") == ["x.py"]
    assert is_diff(patch)
    assert not is_diff("a story about diff --git and +++ signs")
    assert (
        normal_patch("\r\ndiff --git a/x b/x\r\n@@ -1 +1 @@\r\n-a\r\n+b") == "diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n"
    )
