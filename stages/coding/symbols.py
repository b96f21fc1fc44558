"""Which function or class holds a line of Python: by AST where the text parses, else by what the hunk shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from contextrl_data.stages.coding.patches import Hunk
from contextrl_data.stages.coding.syntax import parse

_DEFINITION = re.compile(r"^(\s*)(?:async\s+)?(def|class)\s+([A-Za-z_]\w*)")

Span = tuple[int, int, int, str, bool]
"""First line, last line, indentation, name, whether it is a function."""


def enclosing_symbol(lines: Sequence[str], index: int, indent: int | None = None) -> str | None:
    """Qualified name of the definition that holds line `index` (from 0), "" at module level, None if unparsable.

    Classes and the first function inside them are named; closures belong to the function that holds them.
    `indent` is the indentation of the edited code: a definition that is not further out does not hold it.
    """
    spans = _spans("\n".join(lines))
    offset = 0
    if spans is None:
        spans, offset = _spans_of_fragment(lines, index)
    if spans is None:
        return None
    line = index + 1 + offset
    names: list[str] = []
    for first, last, column, name, is_function in spans:
        if first <= line <= last and (indent is None or column < indent):
            names.append(name)
            if is_function:
                break
    return ".".join(names)


@lru_cache(maxsize=32)
def _spans(text: str) -> list[Span] | None:
    """All definitions, outer before inner; None where the text does not parse."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    spans: list[Span] = []
    open_blocks: list[ast.AST] = [tree]
    while open_blocks:
        for node in _statements(open_blocks.pop()):
            open_blocks.append(node)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                is_function = not isinstance(node, ast.ClassDef)
                spans.append((first, node.end_lineno or node.lineno, node.col_offset, node.name, is_function))
    return sorted(spans, key=lambda span: (span[0], -span[1]))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """What stands directly inside a statement: definitions stand nowhere else, and expressions are most of a tree."""
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        inside = getattr(node, name, None)
        if isinstance(inside, list):
            yield from inside


def _spans_of_fragment(lines: Sequence[str], index: int) -> tuple[list[Span] | None, int]:
    """Parse only the definition around a line, wrapped so that its indentation is legal."""
    start = index
    while start >= 0 and not _DEFINITION.match(lines[start]):
        start -= 1
    if start < 0:
        return None, 0
    indent = len(lines[start]) - len(lines[start].lstrip())
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
        end += 1
    if not start <= index < end:
        return None, 0
    wrapper = ["if 1:"] if indent else []
    spans = _spans("\n".join([*wrapper, *lines[start:end]]))
    return spans, len(wrapper) - start


def symbol_from_hunk(hunk: Hunk, position: int, indent: int | None = None) -> str:
    """Name of the definition above line `position` of a hunk, from its own lines and its section header.

    `indent` is given for pure additions; a replaced line may be the definition's own.
    """
    own = hunk.lines[position][1]
    limit = len(own) - len(own.lstrip()) if indent is None else indent
    stack: list[str] = []
    if indent is None and (found := _DEFINITION.match(own)):
        stack = [found.group(3)]
    for text in [*(text for _, text in reversed(hunk.lines[:position])), hunk.section]:
        found = _DEFINITION.match(text)
        if found and len(found.group(1)) < limit:
            limit = len(found.group(1))
            # A function around a function: the outer one is meant.
            stack = [found.group(3)] if found.group(2) == "def" else [found.group(3), *stack]
    return ".".join(stack)


def with_class(symbol: str, hunk: Hunk, position: int) -> str:
    """Put the class in front of a method's name, where only the method was in view but the hunk names the class."""
    for text in [*(text for _, text in reversed(hunk.lines[:position])), hunk.section]:
        found = _DEFINITION.match(text)
        if found and not found.group(1):
            named = found.group(2) == "class" and symbol and symbol.split(".")[0] != found.group(3)
            return f"{found.group(3)}.{symbol}" if named else symbol
    return symbol
