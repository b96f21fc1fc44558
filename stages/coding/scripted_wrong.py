"""Fixes that an honest agent could have made and that are none: slips of the same function, by our own mutators."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator

from contextrl_data.stages.coding.mutators import MUTATORS, Function, Module, functions_of
from contextrl_data.stages.coding.scripted_edits import Change, change_between
from contextrl_data.stages.coding.syntax import parse

# Slips that read like a repair when they are made on purpose, before those that read like vandalism.
_BELIEVABLE = {
    "boundary": 0,
    "off_by_one": 0,
    "neighbour": 0,
    "wrong_variable": 0,
    "and_or": 0,
    "default": 1,
    "constant": 1,
    "swapped_arguments": 1,
    "arithmetic": 1,
    "half": 1,
    "flip": 2,
    "exception_type": 2,
}


def wrong_changes(module: Module, function: Function, fixed: str, fix: Change, rng: random.Random) -> list[Change]:
    """Other slips: the right line changed in a wrong way, and the bug left where it is while another line changes."""
    right = Module(module.file, fixed)
    forbidden = {_shape(home, home.module.text) for base in (right, module) for home in _homes(base, function)}
    found: dict[str, tuple[int, Change]] = {}
    span = range(fix.first, fix.first + max(len(fix.new), 1))
    for base, lines in ((right, span), (module, None)):
        for home in _homes(base, function):
            for strategy, after in _slips(home, lines):
                shape = _shape(home, after)
                if shape is not None and shape not in forbidden and after not in found:
                    found[after] = (_BELIEVABLE[strategy], change_between(module.text, after))
    ranked = sorted(found.values(), key=lambda pair: (pair[1].first, pair[1].new))
    rng.shuffle(ranked)
    ranked.sort(key=lambda pair: pair[0] + (abs(pair[1].first - fix.first) > 8))
    taken: list[Change] = []
    for _, change in ranked:  # another line each time: an agent does not poke at one spot for ever
        if all(change.first != other.first for other in taken):
            taken.append(change)
    return taken


def _homes(module: Module, function: Function) -> list[Function]:
    """The function in this version of the file."""
    return [home for home in functions_of(module) if home.symbol == function.symbol]


def _shape(home: Function, after: str) -> str | None:
    """The function's syntax tree in a file changed inside of it, or None where it has none.

    Only the function is parsed: a file of thousands of lines would take a second for each slip.
    """
    lines = after.split("\n")
    last = (home.node.end_lineno or home.node.lineno) + len(lines) - len(home.module.text.split("\n"))
    block = "\n".join(lines[home.node.lineno - 1 : last])
    try:
        return ast.dump(parse("if True:\n" + block if block[:1].isspace() else block))
    except SyntaxError:
        return None


def _slips(function: Function, lines: range | None) -> Iterator[tuple[str, str]]:
    """Every believable slip in the function (on these lines) and the file's text with it."""
    bases = {
        id(part)
        for node in function.nodes
        for part in (getattr(node, "value", None), getattr(node, "func", None))
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Call)
    }
    for strategy, mutator in MUTATORS:
        if strategy not in _BELIEVABLE:
            continue
        for node in (function.node, *function.nodes):
            # Nobody takes the attribute of a variable of quite another type.
            if strategy == "wrong_variable" and id(node) in bases:
                continue
            for edit in mutator(function, node):
                if lines is None or function.module.line_of(edit.start) in lines:
                    yield strategy, function.module.apply(edit)
