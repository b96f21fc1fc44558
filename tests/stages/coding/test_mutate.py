"""Mutations of real modules: each is valid code, touches its own lines only, and is taken back exactly."""

from __future__ import annotations

import ast
import functools
import importlib.util
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.coding.mutate import (
    Mutate,
    MutateConfig,
    blob_id,
    is_sound,
    mutations_of,
    unified,
)
from contextrl_data.stages.coding.mutators import STRATEGIES, Edit, Function, Module, functions_of

MODULES = ("heapq", "textwrap", "shlex", "statistics", "fractions", "difflib", "configparser", "packaging.version")


@functools.cache
def module(name: str) -> Module:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Module(f"lib/{name}.py", Path(spec.origin).read_text("utf-8"))


@functools.cache
def edits(name: str) -> list[tuple[Function, str, Edit]]:
    return [
        (function, strategy, edit)
        for function in functions_of(module(name))
        for strategy, edit in mutations_of(function, frozenset(STRATEGIES))
    ]


def package_row(name: str) -> Row:
    source = module(name)
    lines = [{"file": source.file, "line": n, "tests": [n % 3]} for n in range(1, len(source.lines) + 1)]
    tests = [f"tests/test_{n}.py::test" for n in range(3)]
    text = {"path": source.file, "text": source.text}
    return {
        "id": f"{name}-1.0",
        "repo": "owner/name",
        "version": "1.0",
        "tests": tests,
        "sources": [text],
        "coverage": lines,
    }


@given(data=st.data(), name=st.sampled_from(MODULES))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_edit_changes_its_function_and_nothing_else(data: st.DataObject, name: str) -> None:
    function, _, edit = data.draw(st.sampled_from(edits(name)))
    source = function.module
    if not is_sound(function, edit):
        return
    buggy = source.apply(edit)
    assert ast.dump(ast.parse(buggy)) != ast.dump(source.tree)
    first, last = function.node.lineno, function.node.end_lineno or 0
    old, new = source.text.split("\n"), buggy.split("\n")
    assert new[: first - 1] == old[: first - 1]
    assert new[len(new) - (len(old) - last) :] == old[last:]
    patch = unified(source.file, source.text, buggy)
    assert patch.count("\n@@ ") == 1
    assert ast.get_docstring(ast.parse(buggy)) == ast.get_docstring(source.tree)


def test_every_strategy_is_found_in_real_code() -> None:
    found = Counter(strategy for name in MODULES for _, strategy, _ in edits(name))
    assert set(found) == set(STRATEGIES)


@pytest.mark.parametrize("name", MODULES)
def test_candidates_are_spread_and_their_patches_undo_each_other(name: str, tmp_path: Path) -> None:
    config = MutateConfig(functions=6, per_function=4)
    outcome = Mutate(config).process(package_row(name))
    assert isinstance(outcome, Keep)
    rows = outcome.rows
    assert len({row["id"] for row in rows}) == len({row["setup_patch"] for row in rows}) == len(rows)
    assert len({(row["symbol"], row["line"]) for row in rows}) == len(rows)
    counts = Counter(row["symbol"] for row in rows)
    assert len(counts) <= 6
    assert max(counts.values()) <= 4
    source = module(name)
    target = tmp_path / source.file
    target.parent.mkdir()
    target.write_bytes(source.text.encode())
    for row in rows[:8]:
        git_apply(tmp_path, row["setup_patch"])
        assert blob_id(target.read_text("utf-8")) != row["clean_blob"]
        ast.parse(target.read_text("utf-8"))
        git_apply(tmp_path, row["patch"])
        assert target.read_bytes() == source.text.encode()
        assert blob_id(source.text) == row["clean_blob"]


def git_apply(folder: Path, patch: str) -> None:
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=folder, check=True)


def test_the_same_row_gives_the_same_candidates_and_a_seed_gives_others() -> None:
    row = package_row("textwrap")
    first = Mutate(MutateConfig()).process(row)
    assert first == Mutate(MutateConfig()).process(row)
    assert first != Mutate(MutateConfig(seed=1)).process(row)


def test_only_lines_that_few_tests_run_are_broken() -> None:
    row = package_row("textwrap")
    row["coverage"] = [entry for entry in row["coverage"] if entry["line"] > 200]
    outcome = Mutate(MutateConfig()).process(row)
    assert isinstance(outcome, Keep)
    assert all(bug["line"] > 195 for bug in outcome.rows)
    row["coverage"] = []
    assert Mutate(MutateConfig()).process(row) == Drop("no function to break")
    busy = package_row("textwrap")
    busy["coverage"] = [{**entry, "tests": [0, 1]} for entry in busy["coverage"]]
    busy["tests"] = ["tests/test_one.py::test_a", "tests/test_one.py::test_b"]
    assert isinstance(Mutate(MutateConfig(max_tests=2)).process(busy), Keep)
    assert Mutate(MutateConfig(max_tests=1)).process(busy) == Drop("no function to break")


def test_functions_inside_functions_belong_to_the_outer_one() -> None:
    text = "class A:\n    def f(self, x):\n        def g(y):\n            return y + 1\n        return g(x)\n"
    assert [function.symbol for function in functions_of(Module("a.py", text))] == ["A.f", "A.f"]


def test_columns_count_bytes_and_edits_characters() -> None:
    source = Module("a.py", "def f(é, b):\n    return 'ü' + é < b\n")
    (function,) = functions_of(source)
    texts = {source.apply(edit) for strategy, edit in mutations_of(function, frozenset({"boundary"}))}
    assert texts == {"def f(é, b):\n    return 'ü' + é <= b\n"}
