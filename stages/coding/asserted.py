"""What one statement of a test checks: a call, and what was expected of it."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from contextrl_data.stages.coding.syntax import parse

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
class Check:
    """What a test's statement checks."""

    call: str
    expected: str = ""
    raises: bool = False


def checked(node: ast.stmt) -> Check:
    """What a statement checks; by itself where it is no check that is known."""
    if isinstance(node, ast.Assert):
        return _checked_expression(node.test)
    if isinstance(node, ast.With):
        return _checked_block(node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _checked_call(node.value)
    return Check(ast.unparse(node))


def _checked_expression(test: ast.expr) -> Check:
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        left, right = test.left, test.comparators[0]
        if not _has_call(left) and _has_call(right):
            left, right = right, left
        return Check(ast.unparse(left), ast.unparse(right))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return Check(ast.unparse(test.operand), "a false value")
    if isinstance(test, ast.Call) and ast.unparse(test.func) == "raises" and len(test.args) == 2:
        body = test.args[1]
        call = ast.unparse(body.body if isinstance(body, ast.Lambda) else body)
        return Check(call, ast.unparse(test.args[0]), raises=True)
    return Check(ast.unparse(test), "True")


def _checked_block(node: ast.With) -> Check:
    context = node.items[0].context_expr
    body = "\n".join(ast.unparse(part.test if isinstance(part, ast.Assert) else part) for part in node.body)
    if isinstance(context, ast.Call) and ast.unparse(context.func).split(".")[-1] in {"raises", "assertRaises"}:
        return Check(body, ast.unparse(context.args[0]) if context.args else "", raises=True)
    return Check(ast.unparse(node))


def _checked_call(call: ast.Call) -> Check:
    name = ast.unparse(call.func).split(".")[-1]
    args = call.args
    if name in _EQUAL and len(args) >= 2:
        left, right = (args[1], args[0]) if not _has_call(args[0]) and _has_call(args[1]) else args[:2]
        return Check(ast.unparse(left), ast.unparse(right))
    if name in _TRUE and args:
        return Check(ast.unparse(args[0]), _TRUE[name])
    if name in {"assertRaises", "raises"} and len(args) >= 2:
        inner = ast.Call(args[1], list(args[2:]), call.keywords)
        return Check(ast.unparse(inner), ast.unparse(args[0]), raises=True)
    return Check(ast.unparse(call))


def _has_call(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Call | ast.Subscript | ast.Attribute) for part in ast.walk(node))


def sides(message: str, node: ast.stmt) -> tuple[str, str]:
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


def is_check(code: str) -> bool:
    """Whether a line of a test checks something."""
    first = code.lstrip()
    return first.startswith(("assert ", "assert(", "self.assert", "with pytest.raises", "with self.assert", "eq_("))
