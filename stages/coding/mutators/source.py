"""A module's text and tree side by side, and edits that change only a span of the text."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from contextrl_data.stages.coding.syntax import parse

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

UNINTERESTING = frozenset({"__repr__", "__del__", "__hash__", "__sizeof__", "__dir__", "__init_subclass__"})
"""Methods whose bugs no user reports."""


@dataclass(frozen=True)
class Edit:
    """Replace `text[start:end]` with `new`."""

    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Module:
    """One source file."""

    file: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return parse(self.text)

    @cached_property
    def lines(self) -> list[str]:
        # Not splitlines(): it also breaks at form feeds, which the tree does not count.
        return re.findall(r"[^\n]*\n|[^\n]+", self.text)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], 0
        for line in self.lines:
            at += len(line)
            starts.append(at)
        return starts

    def offset(self, line: int, column: int) -> int:
        """Character offset of a tree position, whose column counts UTF-8 bytes."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return self._starts[line - 1] + len(text.encode()[:column].decode(errors="ignore"))

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        return self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def segment(self, node: ast.expr | ast.stmt) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def apply(self, edit: Edit) -> str:
        return self.text[: edit.start] + edit.new + self.text[edit.end :]

    def replace(self, node: ast.expr, new: str) -> Iterator[Edit]:
        """The node, where it stands on one line, replaced by other text."""
        if node.lineno == node.end_lineno and self.segment(node) != new:
            yield Edit(self.start(node), self.end(node), new)

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Edit]:
        """The operator between two operands; nothing where a comment stands there too."""
        start, end = self.end(left), self.start(right)
        pattern = r"\s+".join(map(re.escape, old.split()))
        found = re.fullmatch(rf"[\s()\\]*?({pattern})[\s()\\]*", self.text[start:end])
        if found:
            yield Edit(start + found.start(1), start + found.end(1), new)

    def swap(self, first: ast.expr, second: ast.expr) -> Iterator[Edit]:
        """Two nodes of one line exchanged."""
        one, two = self.segment(first), self.segment(second)
        if first.lineno == second.end_lineno and one != two:
            middle = self.text[self.end(first) : self.start(second)]
            yield Edit(self.start(first), self.end(second), two + middle + one)


@dataclass(frozen=True)
class Function:
    """A function or method. One inside another has names of its own, but belongs to the outer one's symbol."""

    module: Module
    node: FunctionNode
    symbol: str
    nodes: tuple[ast.AST, ...] = field(repr=False)
    """Everything in it that may be mutated, outermost first."""

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """The function itself, for its defaults, and every statement of its body."""
        return [self.node, *(node for node in self.nodes if isinstance(node, ast.stmt))]

    @cached_property
    def variables(self) -> dict[str, int]:
        """Parameters and local names, with the first line on which each is bound."""
        spec = self.node.args
        found = {arg.arg: self.node.lineno for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)}
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found[node.id] = min(node.lineno, found.get(node.id, node.lineno))
        return {name: line for name, line in found.items() if name not in {"self", "cls", "_"}}

    def statement_at(self, start: int) -> ast.stmt:
        """The innermost statement around an offset."""
        holding = [s for s in self.statements if self.module.start(s) <= start < self.module.end(s)]
        return max(holding, key=lambda s: (s.lineno, s.col_offset), default=self.node)


Mutator: TypeAlias = Callable[[Function, ast.AST], Iterator[Edit]]
"""Yields the edits that it can make at one node."""


def functions_of(module: Module) -> Iterator[Function]:
    """Every function of the file that a user could meet a bug in, by position."""

    def visit(node: ast.AST, names: tuple[str, ...], symbol: str) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                outer = symbol or ".".join((*names, child.name))
                if child.name not in UNINTERESTING:
                    yield Function(module, child, outer, tuple(_own_nodes(child)))
                yield from visit(child, names, outer)
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, (*names, child.name), symbol)
            else:
                yield from visit(child, names, symbol)

    yield from visit(module.tree, (), "")


def _own_nodes(function: FunctionNode) -> Iterator[ast.AST]:
    """Body nodes without the doc string, annotations, f-strings (their columns are wrong before Python 3.12)
    and the insides of nested functions and classes."""

    def visit(node: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.JoinedStr):
            return
        yield node
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "type_comment"}:
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from visit(child)

    for statement in function.body:
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield from visit(statement)
