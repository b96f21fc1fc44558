"""A pytest plugin: which test runs which line of a package.

`PROBE_SOURCE` names the package's folder, `PROBE_OUT` the JSON file to write: the node ids in order, and for each file
and line the places of the tests that ran it. Lines that run while tests are collected carry the place -1.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

SOURCE = os.path.realpath(os.environ["PROBE_SOURCE"])

tests: list[str] = []
seen: set[tuple[str, int]] = set()
ran: dict[tuple[str, int], list[int]] = {}
followed: dict[str, bool] = {}


def follow(frame: FrameType, event: str, argument: Any) -> Any:
    """The global trace function: follow the package's own code only."""
    file = frame.f_code.co_filename
    if file not in followed:
        path = os.path.realpath(file)
        followed[file] = path == SOURCE or path.startswith(SOURCE + os.sep)
    return line if followed[file] else None


def line(frame: FrameType, event: str, argument: Any) -> Any:
    """The local trace function."""
    if event == "line":
        seen.add((frame.f_code.co_filename, frame.f_lineno))
    return line


def settle(place: int) -> None:
    """Charge what has run since the last call to one test."""
    for where in seen:
        ran.setdefault(where, []).append(place)
    seen.clear()


def trace(function: Any) -> None:
    """Trace this thread and those started later."""
    sys.settrace(function)
    threading.settrace(function)


def pytest_configure(config: pytest.Config) -> None:
    """Collection starts."""
    trace(follow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """One test, with its fixtures."""
    if not tests:
        settle(-1)
    tests.append(item.nodeid)
    trace(follow)
    try:
        return (yield)
    finally:
        trace(None)
        settle(len(tests) - 1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was seen."""
    trace(None)
    root = str(session.config.rootpath)
    lines = [[os.path.relpath(file, root), number, places] for (file, number), places in sorted(ran.items())]
    Path(os.environ["PROBE_OUT"]).write_text(json.dumps({"tests": tests, "lines": lines}))
