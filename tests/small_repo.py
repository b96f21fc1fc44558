"""A small real repository with a pytest suite, as a package image, and tasks with bugs in it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from contextrl_data.stages.coding.catalogue import PYTEST
from contextrl_data.stages.coding.images import build_package_image
from contextrl_data.stages.coding.registry import Registry

TAG = "contextrl-data/small-repo:test"

WINDOWS = '''"""Windows over sequences."""

from spans.checks import positive


def windows(values, size, step=1, partial=False):
    """Lists of `size` neighbours, each `step` further; with `partial` also what is left at the end."""
    positive("size", size)
    positive("step", step)
    values = list(values)
    found = []
    start = 0
    while start + size <= len(values):
        found.append(values[start : start + size])
        start += step
    if partial and start < len(values):
        rest = values[start:]
        if not found or rest != found[-1]:
            found.append(rest)
    return found


def pairs(values):
    """Neighbours, two by two."""
    return [tuple(pair) for pair in windows(values, 2)]
'''

CHECKS = '''"""Checks of arguments."""


def positive(name, value):
    """Raise for what is no positive whole number."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be positive, not {value!r}")
'''

TESTS = """import pytest

from spans.windows import pairs, windows


def test_windows_of_two():
    assert windows([1, 2, 3], 2) == [[1, 2], [2, 3]]


def test_windows_fill_exactly():
    assert windows([1, 2, 3, 4], 4) == [[1, 2, 3, 4]]


def test_windows_step():
    assert windows(range(6), 2, step=2) == [[0, 1], [2, 3], [4, 5]]


def test_windows_partial():
    assert windows([1, 2, 3], 2, step=2, partial=True) == [[1, 2], [3]]


def test_windows_partial_default_is_off():
    assert windows([1, 2, 3], 2, step=2) == [[1, 2]]


def test_pairs():
    assert pairs("abc") == [("a", "b"), ("b", "c")]


@pytest.mark.parametrize("size", [0, -1])
def test_windows_size_is_positive(size):
    with pytest.raises(ValueError):
        windows([1], size)
"""

FILES = {
    "spans/__init__.py": "",
    "spans/windows.py": WINDOWS,
    "spans/checks.py": CHECKS,
    "tests/test_windows.py": TESTS,
}
ALL_TESTS = [
    "tests/test_windows.py::test_windows_of_two",
    "tests/test_windows.py::test_windows_fill_exactly",
    "tests/test_windows.py::test_windows_step",
    "tests/test_windows.py::test_windows_partial",
    "tests/test_windows.py::test_windows_partial_default_is_off",
    "tests/test_windows.py::test_pairs",
    "tests/test_windows.py::test_windows_size_is_positive[0]",
    "tests/test_windows.py::test_windows_size_is_positive[-1]",
]
EVAL_SCRIPT = """#!/bin/bash
set -uxo pipefail
cd /testbed
git checkout HEAD -- tests/test_windows.py
: '>>>>> Start Test Output'
python3 -m pytest -rA --tb=no -p no:cacheprovider tests/test_windows.py
: '>>>>> End Test Output'
git checkout HEAD -- tests/test_windows.py
"""
BUGS = {
    "boundary": ("start + size <= len(values)", "start + size < len(values)"),
    "partial": ("start < len(values):\n        rest", "start <= len(values):\n        rest"),
    "step": ("start += step", "start += size"),
}
"""Name -> (clean, buggy)."""
FAILING = {
    "boundary": ALL_TESTS[:3] + ALL_TESTS[5:6],
    "step": ALL_TESTS[:1] + ALL_TESTS[5:6],
}
REPORT = """`windows` gives wrong results

I called it like this:

```python
>>> from spans.windows import windows
>>> windows([1, 2, 3], 2)
```

and expected `[[1, 2], [2, 3]]`, but the last window is not there.
"""


def diff(file: str, old: str, new: str) -> str:
    """The change of one file, as git prints it."""
    body = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{file}", f"b/{file}")
    return f"diff --git a/{file} b/{file}\n" + "".join(body)


def build(client: Any, folder: Path) -> str:
    """Build the image of the clean repository; nothing is done where it exists."""
    for name, text in FILES.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    registry = Registry()
    wheels = [registry.fetch(each.project, each.filename, each.sha256) for each in PYTEST]
    return build_package_image(client, TAG, folder / "source", wheels)


def task(bug: str = "boundary", **changes: Any) -> dict[str, Any]:
    """A TASK row: the repository with one of the bugs."""
    clean, buggy = BUGS[bug]
    assert WINDOWS.count(clean) == 1
    broken = WINDOWS.replace(clean, buggy)
    return {
        "id": f"small__spans.1.{bug}",
        "repo": "small/spans",
        "commit": "1" * 40,
        "image": TAG,
        "workdir": "/testbed",
        "setup_patch": diff("spans/windows.py", WINDOWS, broken),
        "problem_statement": REPORT,
        "patch": diff("spans/windows.py", broken, WINDOWS),
        "test_patch": "",
        "fail_to_pass": FAILING[bug],
        "pass_to_pass": [test for test in ALL_TESTS if test not in FAILING[bug]],
        "eval_script": EVAL_SCRIPT,
        "log_parser": "parse_log_pytest",
        "file": "spans/windows.py",
        "symbol": "windows",
        "strategy": bug,
        "source": "spans 1",
        "licence": "MIT",
        **changes,
    }
