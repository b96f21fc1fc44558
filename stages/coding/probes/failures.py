"""A pytest plugin: what a failing test showed, seen from the test and never from inside the library.

`PROBE_OUT` names the JSON file to write: a list with one object for each failing test.
"""

from __future__ import annotations

import ast
import json
import os
import re
import textwrap
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

LONGEST = 1500
MOST_LINES = 12
ADDRESS = re.compile(r"(?<=0x)[0-9a-fA-F]{6,}|(?<=\bid=')\d{9,}(?=')")
"""An object's address, as `object.__repr__` and as mocks write it: another one in every run."""

found: list[dict[str, Any]] = []


def plain(value: object, limit: int = LONGEST) -> str:
    """Text without memory addresses, cut to a limit."""
    return ADDRESS.sub("...", str(value))[:limit]


def shown(value: object) -> str:
    """The repr, where it is short and says what the value is."""
    try:
        text = repr(value)
    except Exception:
        return ""
    return text if len(text) <= 200 and not ADDRESS.search(text) else ""


def source(text: str, node: ast.stmt) -> str:
    """A statement with its decorators, dedented."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return textwrap.dedent("\n".join(text.splitlines()[first - 1 : node.end_lineno]))


def innermost(tree: ast.AST, line: int) -> list[ast.stmt]:
    """The statements around a line, outermost first."""
    path = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return sorted(path, key=lambda node: (node.lineno, -(node.end_lineno or 0), node.col_offset))


def module_names(text: str, tree: ast.Module) -> tuple[list[str], dict[str, str]]:
    """The imports of a test module, and its short definitions by name."""
    imports: list[str] = []
    definitions: dict[str, str] = {}
    for node in tree.body:
        is_test = getattr(node, "name", "").lower().startswith("test")
        is_long = (node.end_lineno or node.lineno) - node.lineno >= MOST_LINES
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(ast.unparse(node))
        elif is_test or is_long:
            continue
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = source(text, node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            definitions[node.targets[0].id] = source(text, node)
    return imports, definitions


def describe(item: pytest.Item, frame: FrameType, line: int) -> dict[str, Any]:
    """The failing statement, what stands before it, and what it needs."""
    text = Path(frame.f_code.co_filename).read_text()
    tree = ast.parse(text)
    around = innermost(tree, line)
    functions = [n for n in around if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    test = functions[-1] if functions else None
    inside = around[around.index(test) + 1 :] if test else around
    if not inside or len(functions) > 1:
        return {}
    statement = inside[-1]
    before = [source(text, n) for n in test.body if (n.end_lineno or 0) < inside[0].lineno] if test else []
    imports, definitions = module_names(text, tree)
    arguments = {argument.arg for argument in test.args.args} if test else set()
    values = {name: shown(value) for name, value in sorted(frame.f_locals.items()) if name.isidentifier()}
    return {
        "statement": source(text, statement),
        "nested": len(inside) > 1,
        "before": before,
        "arguments": sorted(arguments),
        "values": {name: value for name, value in values.items() if value},
        "imports": imports,
        "definitions": definitions,
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Record a failure, whatever phase it happens in."""
    result = yield
    if call.excinfo is not None and result.outcome == "failed":
        entry: dict[str, Any] = {
            "test": item.nodeid,
            "when": call.when,
            "type": call.excinfo.type.__name__,
            "message": plain(call.excinfo.value),
        }
        frames = [(e.frame.raw, e.lineno + 1) for e in call.excinfo.traceback]
        own = [place for place in frames if place[0].f_code.co_filename == str(item.path)]
        if own:
            entry["deeper"] = own[-1][0] is not frames[-1][0]
            # A function inside the test says little by itself: tell what the test did to reach it.
            told = (describe(item, *place) for place in reversed(own))
            entry.update(next(filter(None, told), {}))
        found.append(entry)
    return result


def pytest_sessionfinish() -> None:
    """Write what was seen."""
    text = json.dumps(sorted(found, key=lambda entry: (entry["test"], str(entry["when"]))), sort_keys=True)
    Path(os.environ["PROBE_OUT"]).write_text(text)
