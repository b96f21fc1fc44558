"""From a failing test to an example that a user could have typed: a snippet, what it gave, what was expected."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextrl_data.stages.coding.syntax import literal, parse

LONGEST_VALUE = 300
LONGEST_SNIPPET = 40
"""Lines."""

_EQUAL = {
    "assertEqual": 2,
    "assertEquals": 2,
    "assertListEqual": 2,
    "assertDictEqual": 2,
    "assertTupleEqual": 2,
    "assertSetEqual": 2,
    "assertSequenceEqual": 2,
    "assertIs": 2,
    "eq_": 2,
}
_TRUE = {"assertTrue": "True", "assertFalse": "False", "assertIsNone": "None"}


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


@dataclass(frozen=True)
class _Check:
    """What a test's statement checks."""

    call: str
    expected: str = ""
    raises: bool = False


def example_of(failure: Mapping[str, Any]) -> Example | None:
    """The failure as an example; None where there is nothing that can be said."""
    statement = failure.get("statement", "")
    if failure["when"] != "call" or not statement:
        return None
    try:
        node = parse(statement).body[0]
    except SyntaxError:
        return None
    check = _check(node)
    message = str(failure["message"]).strip()
    silent = "DID NOT RAISE" in message or message.endswith(" not raised")
    assertion = silent or (failure["type"] == "AssertionError" and not failure.get("deeper", False))
    error = "" if assertion else _error(failure["type"], message)
    actual, expected = "", check.expected
    if assertion:
        actual, seen = _sides(message, node)
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


def _check(node: ast.stmt) -> _Check:
    if isinstance(node, ast.Assert):
        return _checked_expression(node.test)
    if isinstance(node, ast.With):
        return _checked_block(node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _checked_call(node.value)
    return _Check(ast.unparse(node))


def _checked_expression(test: ast.expr) -> _Check:
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        left, right = test.left, test.comparators[0]
        if not _has_call(left) and _has_call(right):
            left, right = right, left
        return _Check(ast.unparse(left), ast.unparse(right))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _Check(ast.unparse(test.operand), "a false value")
    if isinstance(test, ast.Call) and ast.unparse(test.func) == "raises" and len(test.args) == 2:
        body = test.args[1]
        call = ast.unparse(body.body if isinstance(body, ast.Lambda) else body)
        return _Check(call, ast.unparse(test.args[0]), raises=True)
    return _Check(ast.unparse(test), "True")


def _checked_block(node: ast.With) -> _Check:
    context = node.items[0].context_expr
    body = "\n".join(ast.unparse(part.test if isinstance(part, ast.Assert) else part) for part in node.body)
    if isinstance(context, ast.Call) and ast.unparse(context.func).split(".")[-1] in {"raises", "assertRaises"}:
        return _Check(body, ast.unparse(context.args[0]) if context.args else "", raises=True)
    return _Check(ast.unparse(node))


def _checked_call(call: ast.Call) -> _Check:
    name = ast.unparse(call.func).split(".")[-1]
    args = call.args
    if name in _EQUAL and len(args) >= 2:
        left, right = (args[1], args[0]) if not _has_call(args[0]) and _has_call(args[1]) else args[:2]
        return _Check(ast.unparse(left), ast.unparse(right))
    if name in _TRUE and args:
        return _Check(ast.unparse(args[0]), _TRUE[name])
    if name in {"assertRaises", "raises"} and len(args) >= 2:
        inner = ast.Call(args[1], list(args[2:]), call.keywords)
        return _Check(ast.unparse(inner), ast.unparse(args[0]), raises=True)
    return _Check(ast.unparse(call))


def _has_call(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Call | ast.Subscript | ast.Attribute) for part in ast.walk(node))


def _sides(message: str, node: ast.stmt) -> tuple[str, str]:
    """What came and what was expected, from the first line of an assertion's message."""
    lines = message.splitlines()
    first = next((line for line in lines if line.startswith("assert ")), lines[0] if lines else "")
    try:
        test = parse(first.removeprefix("assert ").strip(), mode="eval").body
    except SyntaxError:
        return "", ""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return (ast.unparse(test), "") if isinstance(test, ast.Constant) else ("", "")
    left, right = ast.unparse(test.left), ast.unparse(test.comparators[0])
    if isinstance(test.ops[0], ast.NotEq) and not isinstance(node, ast.Assert):
        ordered = node.value.args if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else []
        swapped = len(ordered) >= 2 and not _has_call(ordered[0]) and _has_call(ordered[1])
        return (right, left) if swapped else (left, right)
    if not isinstance(test.ops[0], ast.Eq | ast.Is):
        return "", ""
    source = node.test if isinstance(node, ast.Assert) else None
    if isinstance(source, ast.Compare) and not _has_call(source.left) and _has_call(source.comparators[0]):
        left, right = right, left
    return left, right


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


def _is_check(code: str) -> bool:
    first = code.lstrip()
    return first.startswith(("assert ", "assert(", "self.assert", "with pytest.raises", "with self.assert", "eq_("))


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
        if touches and not _is_check(code):
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
