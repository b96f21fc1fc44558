from __future__ import annotations

import re
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import contextrl_data.stages
from contextrl_data.stages.coding.syntax import literal, parse

SOURCE = "def f(x):\n" + "".join(
    f"    y{i} = [x + {i} for x in range({i}) if x % 2 == 0 or (x and (x or (x and x)))]\n" for i in range(200)
)


class Cycle:
    """Garbage whose finalizer runs long enough to let another thread in while a tree is built."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        for _ in range(50):
            pass


@pytest.fixture
def hasty() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_threads_that_parse_at_once_do_not_disturb_each_other(hasty: None) -> None:
    failed: list[Exception] = []

    def work() -> None:
        for _ in range(30):
            for _ in range(20):
                Cycle()
            try:
                parse(SOURCE)
            except SystemError as error:
                failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_old_sources_raise_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse("x = '\\d'\nif x is 1: pass\n").body


def test_an_expression() -> None:
    assert parse("1 + x", mode="eval").body


@pytest.mark.parametrize(("text", "value"), [(" -1", -1), ("('a', {2: None})", ("a", {2: None}))])
def test_literals(text: str, value: object) -> None:
    assert literal(text) == value


@pytest.mark.parametrize("text", ["x", "f(1)", "1 +", "a\0b"])
def test_what_is_no_literal(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        literal(text)


def test_nothing_else_parses() -> None:
    """Probes run alone, inside a container; `scripted_plan` writes the call into a command that runs there."""
    root = Path(contextrl_data.stages.__path__[0])
    others = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"\bast\.(parse|literal_eval)\(|PyCF_ONLY_AST", path.read_text())
    }
    assert others == {"coding/syntax.py", "coding/probes/failures.py", "coding/scripted_plan.py"}
