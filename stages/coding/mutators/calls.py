"""Bugs in calls: arguments in the wrong order or forgotten, and a neighbour called instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from contextrl_data.stages.coding.mutators.source import Edit, Function, Mutator

_PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("startswith", "endswith"),
    ("lstrip", "rstrip"),
    ("strip", "rstrip"),
    ("find", "rfind"),
    ("index", "rindex"),
    ("split", "rsplit"),
    ("partition", "rpartition"),
    ("upper", "lower"),
    ("ljust", "rjust"),
    ("append", "extend"),
    ("keys", "values"),
    ("union", "intersection"),
    ("floor", "ceil"),
    ("add", "discard"),
    ("issubset", "issuperset"),
    ("isalpha", "isalnum"),
    ("match", "search"),
    ("appendleft", "append"),
    ("popleft", "pop"),
    ("isinstance", "issubclass"),
    ("sorted", "list"),
    ("setdefault", "get"),
    ("items", "keys"),
)
_NEIGHBOUR = dict(reversed(_PAIRS)) | {b: a for a, b in reversed(_PAIRS)}
_NEIGHBOUR |= {a: b for a, b in _PAIRS if a not in {b for _, b in _PAIRS}}


def neighbour(function: Function, node: ast.AST) -> Iterator[Edit]:
    """`max` for `min`, `rstrip` for `lstrip`, and the like."""
    module = function.module
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Name) and node.func.id in _NEIGHBOUR:
        yield from module.replace(node.func, _NEIGHBOUR[node.func.id])
    elif isinstance(node.func, ast.Attribute) and node.func.attr in _NEIGHBOUR:
        end = module.end(node.func)
        yield Edit(end - len(node.func.attr), end, _NEIGHBOUR[node.func.attr])


def swapped_arguments(function: Function, node: ast.AST) -> Iterator[Edit]:
    """Two neighbouring arguments exchanged."""
    if isinstance(node, ast.Call):
        for first, second in zip(node.args, node.args[1:], strict=False):
            if not isinstance(first, ast.Starred) and not isinstance(second, ast.Starred):
                yield from function.module.swap(first, second)


def dropped_argument(function: Function, node: ast.AST) -> Iterator[Edit]:
    """The last argument forgotten, where another one stands before it."""
    if not isinstance(node, ast.Call) or len(node.args) + len(node.keywords) < 2:
        return
    module = function.module
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    values.sort(key=module.start)
    before, last = module.end(values[-2]), module.end(values[-1])
    comma = module.text.find(",", before, last)
    if comma >= 0 and "\n" not in module.text[comma:last] and module.text[before:comma].strip(" )") == "":
        yield Edit(comma, last, "")


def dropped_wrapper(function: Function, node: ast.AST) -> Iterator[Edit]:
    """A conversion forgotten: `x` for `list(x)`."""
    names = {"list", "tuple", "set", "iter", "str", "int", "sorted", "reversed", "abs", "dict", "frozenset"}
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
        and len(node.args) == 1
        and not node.keywords
        and isinstance(node.args[0], ast.Name | ast.Call | ast.Attribute | ast.Subscript)
    ):
        yield from function.module.replace(node, function.module.segment(node.args[0]))


MUTATORS: tuple[tuple[str, Mutator], ...] = (
    ("neighbour", neighbour),
    ("swapped_arguments", swapped_arguments),
    ("dropped_argument", dropped_argument),
    ("dropped_wrapper", dropped_wrapper),
)
