"""Bugs in conditions: boundaries, comparisons, negations, and/or, and forgotten halves."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from contextrl_data.stages.coding.mutators.source import Edit, Function, Mutator

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_FLIP = {
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
    "==": "!=",
    "!=": "==",
    "is": "is not",
    "is not": "is",
    "in": "not in",
    "not in": "in",
}


def _signs(function: Function, node: ast.AST, table: dict[str, str]) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            sign = _SIGNS[type(op)]
            if sign in table:
                yield from function.module.between(left, right, sign, table[sign])


def boundary(function: Function, node: ast.AST) -> Iterator[Edit]:
    """`<` for `<=` and the like."""
    yield from _signs(function, node, _BOUNDARY)


def flip(function: Function, node: ast.AST) -> Iterator[Edit]:
    """A comparison turned round."""
    yield from _signs(function, node, _FLIP)


def and_or(function: Function, node: ast.AST) -> Iterator[Edit]:
    """`and` for `or`."""
    if isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from function.module.between(left, right, old, new)


def half(function: Function, node: ast.AST) -> Iterator[Edit]:
    """One half of a condition forgotten."""
    if isinstance(node, ast.BoolOp) and len(node.values) == 2:
        for value in node.values:
            yield from function.module.replace(node, function.module.segment(value))


def negation(function: Function, node: ast.AST) -> Iterator[Edit]:
    """A `not` lost, or one too many."""
    module = function.module
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from module.replace(node, module.segment(node.operand))
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
        node.test, ast.Name | ast.Call | ast.Attribute
    ):
        yield from module.replace(node.test, f"not {module.segment(node.test)}")


def branches(function: Function, node: ast.AST) -> Iterator[Edit]:
    """The two results of a conditional expression exchanged."""
    if isinstance(node, ast.IfExp):
        yield from _exchange(function, node)


def _exchange(function: Function, node: ast.IfExp) -> Iterator[Edit]:
    module = function.module
    first, last = module.segment(node.body), module.segment(node.orelse)
    if node.lineno == node.end_lineno and first != last:
        middle = module.text[module.end(node.body) : module.start(node.orelse)]
        yield Edit(module.start(node.body), module.end(node.orelse), last + middle + first)


MUTATORS: tuple[tuple[str, Mutator], ...] = (
    ("boundary", boundary),
    ("comparison", flip),
    ("and_or", and_or),
    ("half_condition", half),
    ("negation", negation),
    ("branches", branches),
)
