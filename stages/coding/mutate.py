"""Make candidate bugs: package row -> bug rows, spread over functions, lines and kinds of slip."""

from __future__ import annotations

import ast
import difflib
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field, field_validator

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig, seed_of
from contextrl_data.stages.coding.mutators import MUTATORS, STRATEGIES, Edit, Function, Module, functions_of
from contextrl_data.stages.coding.syntax import parse
from contextrl_data.stages.coding.task_rows import BUG


class MutateConfig(StageConfig):
    """Settings of `mutate`."""

    seed: int = 0
    """Chooses among the possible bugs."""
    per_function: int = Field(default=6, ge=1)
    """At most this many candidates in one function."""
    functions: int = Field(default=9, ge=1)
    """At most this many functions of one package; those with the most distinct lines to break come first."""
    min_lines: int = Field(default=3, ge=1)
    """A function with fewer lines that can be broken is left alone: its bugs would not be told apart."""
    max_tests: int = Field(default=40, ge=1)
    """Lines that more tests run are left alone: a bug there breaks half the suite."""
    strategies: tuple[str, ...] = STRATEGIES
    """The kinds of slip to make."""

    @field_validator("strategies")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or (unknown := [name for name in names if name not in STRATEGIES]):
            problem = f"{', '.join(unknown)} is none of them" if names else "none is named"
            raise ValueError(f"{problem}; known here: {', '.join(STRATEGIES)}")
        return names


@dataclass(frozen=True)
class Mutation:
    """One possible bug."""

    function: Function
    strategy: str
    edit: Edit
    line: int
    tests: frozenset[int]


def unified(file: str, old: str, new: str) -> str:
    """The change as `git diff` would print it."""
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{file}", f"b/{file}")
    body = "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
    return f"diff --git a/{file} b/{file}\n{body}"


def blob_id(text: str) -> str:
    """git's id of a file with this text."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def mutations_of(function: Function, strategies: frozenset[str]) -> Iterator[tuple[str, Edit]]:
    """Every edit that the mutators offer for one function, each once."""
    seen: set[Edit] = set()
    for strategy, mutator in MUTATORS:
        if strategy not in strategies:
            continue
        for node in (function.node, *function.nodes):
            for edit in mutator(function, node):
                if edit not in seen:
                    seen.add(edit)
                    yield strategy, edit


def is_sound(function: Function, edit: Edit) -> bool:
    """Whether the edit leaves valid code that is not the same code. Only the function is parsed again."""
    module = function.module
    start = module.offset(function.node.lineno, 0)
    end = module.end(function.node)
    clean = module.text[start:end]
    buggy = clean[: edit.start - start] + edit.new + clean[edit.end - start :]
    # An indented function stands as well under an `if`, and no string in it has to be touched.
    head = "if True:\n" if function.node.col_offset else ""
    try:
        return ast.dump(parse(head + buggy)) != ast.dump(parse(head + clean))
    except SyntaxError:
        return False


class Mutate(Map[MutateConfig]):
    """Package -> candidate bugs."""

    name = "mutate"
    version = 1
    schema = BUG

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """As many as the caps allow: packages mostly have enough functions."""
        return Outlook(rows * self.config.functions * self.config.per_function)

    def process(self, row: Row) -> Outcome:
        """All candidates of one package."""
        found: defaultdict[tuple[str, str], list[Mutation]] = defaultdict(list)
        covered: dict[tuple[str, int], frozenset[int]] = {
            (entry["file"], entry["line"]): frozenset(entry["tests"]) for entry in row["coverage"]
        }
        for source in row["sources"]:
            module = Module(source["path"], source["text"])
            for function in functions_of(module):
                found[module.file, function.symbol] += self._usable(function, covered)
        lines = {place: len({mutation.line for mutation in some}) for place, some in found.items()}
        # Beyond the cap more lines are no better; the seed then decides, so that long functions do not win alone.
        places = sorted(
            (place for place in found if lines[place] >= self.config.min_lines),
            key=lambda place: (-min(lines[place], self.config.per_function), self._seed(row, place)),
        )
        rows: dict[str, Row] = {}
        for place in places[: self.config.functions]:
            for mutation in self._spread(found[place], random.Random(self._seed(row, place))):
                bug = _bug(row, mutation)
                rows.setdefault(bug["id"], bug)
        return Keep(list(rows.values())) if rows else Drop("no function to break")

    def _seed(self, row: Row, place: tuple[str, str]) -> int:
        return seed_of(self.config.seed, row["id"], *place)

    def _usable(self, function: Function, covered: dict[tuple[str, int], frozenset[int]]) -> list[Mutation]:
        module, body = function.module, function.node
        inside = frozenset().union(
            *(covered.get((module.file, n), frozenset()) for n in range(body.body[0].lineno, _last(body) + 1))
        )
        if not inside:
            return []
        found = []
        for strategy, edit in mutations_of(function, frozenset(self.config.strategies)):
            line = module.line_of(edit.start)
            statement = function.statement_at(edit.start + (len(edit.new) == 0 and _indent(module, edit)))
            tests = inside
            if statement is not body:
                span = range(statement.lineno, max(line, _head_end(statement)) + 1)
                tests = frozenset().union(*(covered.get((module.file, n), frozenset()) for n in span))
            if 0 < len(tests) <= self.config.max_tests:
                found.append(Mutation(function, strategy, edit, line, tests))
        return found

    def _spread(self, mutations: list[Mutation], order: random.Random) -> list[Mutation]:
        """At most one a line; lines with a gap between them first, rare kinds of slip before common ones."""
        by_line: defaultdict[int, list[Mutation]] = defaultdict(list)
        for mutation in mutations:
            by_line[mutation.line].append(mutation)
        lines = sorted(by_line)
        order.shuffle(lines)
        taken: dict[int, Mutation] = {}
        used: Counter[str] = Counter()
        for gap in (3, 2, 1):
            for line in lines:
                if len(taken) == self.config.per_function:
                    break
                if line in taken or any(abs(line - other) < gap for other in taken):
                    continue
                for mutation in _choices(by_line[line], used, order):
                    if is_sound(mutation.function, mutation.edit):
                        taken[line] = mutation
                        used[mutation.strategy] += 1
                        break
        return [taken[line] for line in sorted(taken)]


def _choices(mutations: list[Mutation], used: Counter[str], order: random.Random) -> list[Mutation]:
    """Kinds of slip used least in this function first; a kind with many edits weighs no more than another."""
    mutations = sorted(mutations, key=lambda m: (m.strategy, m.edit.start, m.edit.new))
    kinds = sorted({mutation.strategy for mutation in mutations})
    order.shuffle(kinds)
    order.shuffle(mutations)
    return sorted(mutations, key=lambda m: (used[m.strategy], kinds.index(m.strategy)))


def _bug(row: Row, mutation: Mutation) -> Row:
    module = mutation.function.module
    buggy = module.apply(mutation.edit)
    setup = unified(module.file, module.text, buggy)
    digest = hashlib.sha256(setup.encode()).hexdigest()[:8]
    owner = row["repo"].replace("/", "__")
    tests = [row["tests"][place] for place in sorted(mutation.tests)]
    return {
        "id": f"{owner}.{row['version']}.{mutation.strategy}__{digest}",
        "package": row["id"],
        "file": module.file,
        "symbol": mutation.function.symbol,
        "strategy": mutation.strategy,
        "line": mutation.line,
        "setup_patch": setup,
        "patch": unified(module.file, buggy, module.text),
        "clean_blob": blob_id(module.text),
        "test_files": sorted({test.split("::")[0] for test in tests}),
    }


def _last(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _indent(module: Module, edit: Edit) -> int:
    removed = module.text[edit.start : edit.end]
    return len(removed) - len(removed.lstrip())


def _head_end(statement: ast.stmt) -> int:
    """The last line of a statement's own head, without the blocks under it."""
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body:
        return max(statement.lineno, int(body[0].lineno) - 1)
    return _last(statement)
