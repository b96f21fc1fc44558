"""Unified diffs of every kind, good and bad."""

from __future__ import annotations

import pytest
from coding_rows import fix_patch
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.coding.patches import is_test_path, parse_patch
from contextrl_data.stages.lexical import changed_lines


def test_changes_carry_their_neighbours_and_place() -> None:
    (file,) = parse_patch(fix_patch("discount"))
    (change,) = file.changes
    assert file.path == "shop/cart.py"
    assert change.removed == ("        return round(amount * (100 + discount) / 100, 2)",)
    assert change.added == ("        return round(amount * (100 - discount) / 100, 2)",)
    assert change.before.strip().startswith("raise ValueError")
    assert change.after == ""
    assert change.old_line == 15


def test_renames_binaries_new_and_deleted_files() -> None:
    patch = (
        "diff --git a/old.py b/new.py\nsimilarity index 90%\nrename from old.py\nrename to new.py\n"
        "--- a/old.py\n+++ b/new.py\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git a/x.bin b/x.bin\nBinary files a/x.bin and b/x.bin differ\n"
        "diff --git a/made.py b/made.py\nnew file mode 100644\n--- /dev/null\n+++ b/made.py\n@@ -0,0 +1 @@\n+x\n"
        "diff --git a/gone.py b/gone.py\ndeleted file mode 100644\n--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    )
    files = {file.path: file for file in parse_patch(patch)}
    assert sorted(files) == ["gone.py", "made.py", "new.py", "x.bin"]
    assert files["new.py"].old_path == "old.py"
    assert files["x.bin"].binary
    assert files["made.py"].changes[0].added == ("x",)
    assert files["gone.py"].changes[0].removed == ("x",)


def test_windows_line_ends_and_missing_newline_at_the_end() -> None:
    patch = "--- a/x.py\r\n+++ b/x.py\r\n@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+c\r\n\\ No newline at end of file\r\n"
    (file,) = parse_patch(patch.replace("b/x.py\r", "b/x.py").replace("a/x.py\r", "a/x.py"))
    assert [line.rstrip("\r") for line in file.changes[0].added] == ["c"]
    (plain,) = parse_patch("--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-b\n\\ No newline at end of file\n+c\n")
    assert (plain.changes[0].removed, plain.changes[0].added) == (("b",), ("c",))


def test_one_damaged_hunk_spoils_no_other() -> None:
    good = fix_patch("quantity")
    cut = "diff --git a/y.py b/y.py\n--- a/y.py\n+++ b/y.py\n@@ -1,9 +1,9 @@\n a\n-b\n"
    assert [file.path for file in parse_patch(cut + good) if file.hunks] == ["shop/cart.py"]
    assert [file.path for file in parse_patch(good + cut) if file.hunks] == ["shop/cart.py"]


def test_trimmed_blank_context_lines_are_context() -> None:
    (file,) = parse_patch("--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n")
    assert file.changes[0].removed == ("b",)


@pytest.mark.parametrize(
    "text", ["", "no diff at all", "@@ -1 +1 @@\n-a\n+b\n", "--- a/x\n", "\x00\xff", "diff --git a b"]
)
def test_what_is_no_diff_changes_nothing(text: str) -> None:
    assert not any(file.hunks for file in parse_patch(text))


@given(
    st.lists(
        st.sampled_from(
            ["diff --git a/x.py b/x.py", "--- a/x.py", "+++ b/x.py", "--- /dev/null", "@@ -1,2 +1,2 @@ def f():",
             "@@ -1 +1 @@", "@@ -0,0 +1,3 @@", "@@ -99999999999 +1 @@", " context", "-old", "+new", "", "\\ No newline at end of file",
             "-- ", "++ x", "Binary files a/x and b/x differ", "rename from a", "GIT binary patch", "\x0c", "\r", "é\x00"]
        ),
        max_size=25,
    ),
    st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_any_mixture_of_diff_lines_is_parsed_without_a_crash(lines: list[str], end: str) -> None:
    text = end.join(lines)
    for file in parse_patch(text):
        for change in file.changes:
            assert change.removed or change.added
    changed_lines(text)


_CODE = st.text(alphabet="abc =()+-#@\\\t", max_size=8)


@given(st.lists(_CODE, max_size=12), st.lists(_CODE, max_size=12))
@settings(max_examples=300, deadline=None)
def test_every_changed_line_of_a_real_diff_comes_back(before: list[str], after: list[str]) -> None:
    import difflib

    diff = list(difflib.unified_diff(before, after, "a/x.py", "b/x.py", lineterm=""))
    text = "\n".join(diff) + "\n"
    removed, added = changed_lines(text)
    assert removed == [line[1:] for line in diff[2:] if line.startswith("-")]
    changes = [change for file in parse_patch(text) for change in file.changes]
    assert [line for change in changes for line in change.removed] == removed
    assert [line for change in changes for line in change.added] == added


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("tests/a.py", True),
        ("pkg/test_a.py", True),
        ("pkg/a_test.py", True),
        ("conftest.py", True),
        ("pkg/latest.py", False),
        ("pkg/testament.py", False),
        ("contest/a.py", False),
    ],
)
def test_tests_are_told_from_sources(path: str, is_test: bool) -> None:
    assert is_test_path(path) is is_test
