"""From a failing test to an example that a user could have typed: a snippet, what it gave, what was expected."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextrl_data.stages.coding.asserted import checked, is_check, sides
from contextrl_data.stages.coding.syntax import literal, parse

LONGEST_VALUE = 300
LONGEST_SNIPPET = 40
"""Lines."""


@dataclass(frozen=True)
class Example:
    """One failure as a user would show it."""

    test: str
    snippet: str
    """Code that runs by itself where `complete`."""
    call: str
    """The expression that misbehaves, or the statement."""
    complete: bool
    expected: str
    """Text of the expected value or exception; "" unknown."""
    actual: str
    """Text of what came instead; "" where an exception came."""
    error: str
    """`ValueError: message` where an exception came, else ""."""
    raises: bool = False
    """Whether `expected` is an exception."""


def example_of(failure: Mapping[str, Any]) -> Example | None:
    """The failure as an example; None where there is nothing that can be said."""
    statement = failure.get("statement", "")
    if failure["when"] != "call" or not statement:
        return None
    try:
        node = parse(statement).body[0]
    except SyntaxError:
        return None
    check = checked(node)
    message = str(failure["message"]).strip()
    silent = "DID NOT RAISE" in message or message.endswith(" not raised")
    assertion = silent or (failure["type"] == "AssertionError" and not failure.get("deeper", False))
    error = "" if assertion else _error(failure["type"], message)
    actual, expected = "", check.expected
    if assertion:
        actual, seen = sides(message, node)
        expected = expected if _is_literal(expected) or _calls_library(expected) else seen or expected
        if silent:
            expected, actual = check.expected or _exception_name(message), "no exception"
    if not error and not actual and not expected:
        return None
    snippet, complete = _snippet(failure, check.call)
    if not snippet or snippet.count("\n") >= LONGEST_SNIPPET or _private(check.call):
        return None
    if not complete and "import " not in snippet:
        return None
    if expected.isidentifier() and not _is_literal(expected) and not (check.raises or silent):
        expected = ""  # the name of a test's variable tells a reader nothing
    if not error and not actual and not expected:
        return None
    raises = check.raises or silent
    return Example(failure["test"], snippet, check.call, complete, _short(expected), _short(actual), error, raises)


def _error(kind: str, message: str) -> str:
    first = message.splitlines()[0] if message else ""
    return f"{kind}: {first[:LONGEST_VALUE]}" if first else str(kind)


def _exception_name(message: str) -> str:
    name = message.rpartition("DID NOT RAISE")[2].strip().removeprefix("<class '").removesuffix("'>")
    return name.rpartition(".")[2]


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + " ..."


def _is_literal(code: str) -> bool:
    try:
        literal(code)
    except (ValueError, SyntaxError):
        return False
    return True


def _calls_library(code: str) -> bool:
    """Whether the expected value was itself computed by what is broken: then what came of it is no truth."""
    try:
        calls = [node for node in ast.walk(parse(code)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return False
    return any(not hasattr(builtins, ast.unparse(node.func)) for node in calls)


def _private(call: str) -> bool:
    return "mock" in call.lower() or "monkeypatch" in call


def _names(code: str) -> set[str]:
    try:
        tree = parse(code)
    except SyntaxError:
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _bound(code: str) -> set[str]:
    tree = parse(code)
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    found |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


def _snippet(failure: Mapping[str, Any], call: str) -> tuple[str, bool]:
    """The call with all that it needs before it, and whether that is truly all."""
    needed = _names(call)
    body: list[str] = []
    values: dict[str, str] = failure.get("values", {})
    for code in reversed(failure.get("before", [])):
        try:
            touches = (_bound(code) | _changed(code)) & needed
        except SyntaxError:
            continue
        if touches and not is_check(code):
            body.insert(0, code)
            needed |= _names(code)
    made = set().union(*(_bound(code) for code in body)) if body else set()
    for name in sorted(needed - made):
        if name in values and (name in failure.get("arguments", ()) or failure.get("nested")):
            try:
                literal(values[name])
            except (ValueError, SyntaxError):
                continue
            body.insert(0, f"{name} = {values[name]}")
            made.add(name)
    known = {name: code for name, code in failure.get("definitions", {}).items() if "pytest." not in code}
    definitions = _definitions(known, needed - made)
    for code in definitions:
        needed |= _names(code)
        made |= _bound(code)
    imports = _imports(failure.get("imports", ()), needed - made)
    for line in imports:
        made |= _bound(line)
    missing = {name for name in needed - made if not hasattr(builtins, name)}
    parts = ["\n".join(imports), *definitions, "\n".join([*body, call])]
    return "\n\n".join(part for part in parts if part), not missing


def _changed(code: str) -> set[str]:
    """Names whose objects a statement may change: `d.add(1)`, `d[1] = 2`, `next(it)`."""
    found: set[str] = set()
    for node in ast.walk(parse(code)):
        if isinstance(node, ast.Call):
            parts = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            found |= {part.id for part in [*parts, *node.args] if isinstance(part, ast.Name)}
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            found |= {node.value.id} if isinstance(node.value, ast.Name) else set()
    return found


def _definitions(definitions: Mapping[str, str], needed: set[str]) -> list[str]:
    found: list[str] = []
    wanted = sorted(needed & definitions.keys())
    taken: set[str] = set()
    while wanted:
        name = wanted.pop(0)
        if name not in taken:
            taken.add(name)
            found.insert(0, definitions[name])
            wanted += sorted((_names(definitions[name]) & definitions.keys()) - taken)
    return found


def _imports(imports: Sequence[str], needed: set[str]) -> list[str]:
    """The test's imports, cut down to the names that are used."""
    found: list[str] = []
    for line in imports:
        node = parse(line).body[0]
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        node.names = [a for a in node.names if (a.asname or a.name).split(".")[0] in needed or a.name == "*"]
        relative = isinstance(node, ast.ImportFrom) and node.level
        if node.names and not relative and not ast.unparse(node).startswith(("import pytest", "from pytest")):
            found.append(ast.unparse(node))
    return found
