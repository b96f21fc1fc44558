"""Bugs of whole statements: a guard or an update forgotten, the wrong exception, the wrong way out of a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from contextrl_data.stages.coding.mutators.source import Edit, Function, Mutator

LONGEST_REMOVED = 4
"""Lines; a longer hole in the source is no slip."""

_EXCEPTIONS = {
    "ValueError": "TypeError",
    "TypeError": "ValueError",
    "KeyError": "IndexError",
    "IndexError": "KeyError",
    "AttributeError": "KeyError",
    "StopIteration": "IndexError",
    "OverflowError": "ValueError",
    "LookupError": "ValueError",
    "NotImplementedError": "TypeError",
    "RuntimeError": "ValueError",
    "ZeroDivisionError": "ValueError",
    "UnicodeDecodeError": "KeyError",
}
_LEAVES = ast.Return | ast.Raise | ast.Continue | ast.Break


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _removed(function: Function, statement: ast.stmt) -> Iterator[Edit]:
    module = function.module
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    head = module.lines[first - 1].encode()[: statement.col_offset]
    tail = module.text[module.end(statement) : module.offset(last, len(module.lines[last - 1].encode()))]
    alone = not head.strip() and (not tail.strip() or tail.strip().startswith("#"))
    if alone and last - first < LONGEST_REMOVED:
        yield Edit(module.offset(first, 0), module.offset(last, len(module.lines[last - 1].encode())), "")


def _is_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and not statement.orelse and isinstance(statement.body[-1], _LEAVES)


def _is_update(statement: ast.stmt) -> bool:
    call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    again = isinstance(statement, ast.Assign) and any(
        isinstance(node, ast.Name) and isinstance(target, ast.Name) and node.id == target.id
        for target in statement.targets
        for node in ast.walk(statement.value)
    )
    kept = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute | ast.Subscript)
    return isinstance(statement, ast.AugAssign) or call or again or kept


def missing_guard(function: Function, node: ast.AST) -> Iterator[Edit]:
    """An early way out forgotten."""
    for block in _blocks(node):
        for statement in block if len(block) > 1 else []:
            if _is_guard(statement):
                yield from _removed(function, statement)


def missing_update(function: Function, node: ast.AST) -> Iterator[Edit]:
    """A step of the work forgotten."""
    for block in _blocks(node):
        for statement in block if len(block) > 1 else []:
            if _is_update(statement):
                yield from _removed(function, statement)


def exception_type(function: Function, node: ast.AST) -> Iterator[Edit]:
    """Another exception raised or caught."""
    named: ast.expr | None = None
    if isinstance(node, ast.Raise):
        named = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    elif isinstance(node, ast.ExceptHandler):
        named = node.type
    if isinstance(named, ast.Name) and named.id in _EXCEPTIONS:
        yield from function.module.replace(named, _EXCEPTIONS[named.id])


def loop_exit(function: Function, node: ast.AST) -> Iterator[Edit]:
    """`break` for `continue`."""
    module = function.module
    if isinstance(node, ast.Break | ast.Continue):
        word = "continue" if isinstance(node, ast.Break) else "break"
        yield Edit(module.start(node), module.end(node), word)


MUTATORS: tuple[tuple[str, Mutator], ...] = (
    ("missing_guard", missing_guard),
    ("missing_update", missing_update),
    ("exception_type", exception_type),
    ("loop_exit", loop_exit),
)
