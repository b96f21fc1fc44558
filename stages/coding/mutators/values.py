"""Bugs in values: off by one, arithmetic, constants, defaults, and the wrong variable."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from contextrl_data.stages.coding.mutators.source import Edit, Function, Mutator

_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _whole_number(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _positions(node: ast.AST) -> list[ast.expr | None]:
    if isinstance(node, ast.Slice):
        return [node.lower, node.upper, node.step]
    if isinstance(node, ast.Subscript):
        return [node.slice]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"range", "islice"}:
        return list(node.args)
    if isinstance(node, ast.Compare):
        return list(node.comparators)
    return []


def off_by_one(function: Function, node: ast.AST) -> Iterator[Edit]:
    """A bound, index or limit that is one too large or too small, or a forgotten `+ 1`."""
    module = function.module
    for place in _positions(node):
        sign = place.operand if isinstance(place, ast.UnaryOp) and isinstance(place.op, ast.USub) else place
        if isinstance(sign, ast.Constant) and _whole_number(sign):
            yield from module.replace(sign, str(int(str(sign.value)) + 1))
            if int(str(sign.value)) > 0 and sign is place:
                yield from module.replace(sign, str(int(str(sign.value)) - 1))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) and _whole_number(node.right):
        yield from module.replace(node, module.segment(node.left))


def arithmetic(function: Function, node: ast.AST) -> Iterator[Edit]:
    """Another operator."""
    module = function.module
    if isinstance(node, ast.BinOp) and not _is_text(node.left) and not _is_text(node.right):
        if type(node.op) in _ARITHMETIC:
            yield from module.between(node.left, node.right, *_ARITHMETIC[type(node.op)])
    elif isinstance(node, ast.AugAssign) and not _is_text(node.value) and type(node.op) in _ARITHMETIC:
        old, new = _ARITHMETIC[type(node.op)]
        yield from module.between(node.target, node.value, old + "=", new + "=")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from module.replace(node, module.segment(node.operand))


def constant(function: Function, node: ast.AST) -> Iterator[Edit]:
    """A flag the wrong way, a number that is off, an empty text that is not."""
    if not isinstance(node, ast.Assign | ast.Return | ast.keyword | ast.AnnAssign | ast.Call | ast.BinOp):
        return
    parts = [*node.args] if isinstance(node, ast.Call) else []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif not isinstance(node, ast.Call) and node.value is not None:
        parts = [node.value]
    for part in parts:
        if isinstance(part, ast.Constant):
            yield from _other_constant(function, part)


def _other_constant(function: Function, node: ast.Constant) -> Iterator[Edit]:
    if isinstance(node.value, bool):
        yield from function.module.replace(node, str(not node.value))
    elif type(node.value) is int:
        yield from function.module.replace(node, str(node.value + 1))
    elif node.value == "":
        yield from function.module.replace(node, '" "')


def default(function: Function, node: ast.AST) -> Iterator[Edit]:
    """Another default of a parameter."""
    if node is function.node:
        spec = function.node.args
        for value in (*spec.defaults, *spec.kw_defaults):
            if isinstance(value, ast.Constant):
                yield from _other_constant(function, value)


def wrong_variable(function: Function, node: ast.AST) -> Iterator[Edit]:
    """Another variable of the same function, one of those bound last before this line."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in function.variables:
        bound = [(line, name) for name, line in function.variables.items() if line < node.lineno]
        for _, name in sorted(bound, reverse=True)[:3]:
            if name != node.id:
                yield from function.module.replace(node, name)


def returned(function: Function, node: ast.AST) -> Iterator[Edit]:
    """The parts of a returned or yielded tuple exchanged, or a truth turned round."""
    if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
        value = node.value
        if isinstance(value, ast.Tuple) and len(value.elts) == 2:
            yield from function.module.swap(value.elts[0], value.elts[1])
        elif isinstance(value, ast.Compare | ast.BoolOp) and isinstance(node, ast.Return):
            yield from function.module.replace(value, f"not ({function.module.segment(value)})")


MUTATORS: tuple[tuple[str, Mutator], ...] = (
    ("off_by_one", off_by_one),
    ("arithmetic", arithmetic),
    ("constant", constant),
    ("default", default),
    ("wrong_variable", wrong_variable),
    ("returned", returned),
)
