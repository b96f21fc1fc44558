"""What the scripted agent knows of a task before it starts: the fix, plausible wrong fixes, and how tests are run."""

from __future__ import annotations

import ast
import random
import re
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.backend import RunningSandbox
from contextrl_data.stages.coding.mutators import Function, Module, functions_of
from contextrl_data.stages.coding.patches import FilePatch, parse_patch
from contextrl_data.stages.coding.sandbox import UnusableTask
from contextrl_data.stages.coding.scripted_edits import Change, change_between
from contextrl_data.stages.coding.scripted_wrong import wrong_changes
from contextrl_data.stages.coding.syntax import parse

LARGEST_FILE = 2_000_000
REHEARSALS = 5
REHEARSED = "/tmp/.contextrl-rehearsal.py"
_PLAIN_ID = re.compile(r"^[\w./:\[\]-]+$")
_RUNNER = re.compile(r"^\s*((?:[A-Z_]+=\S+\s+)*(?:\S*python3?(?:\.\d+)?\s+-m\s+pytest|\S*pytest))\b", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A task as the policy sees it."""

    file: str
    text: str
    """The file with its bug."""
    function: str
    """Last part of the edited function's name."""
    span: tuple[int, int]
    """Its first and last line."""
    fix: Change
    wrong: tuple[Change, ...]
    """Other changes of the same function, the most believable first."""
    runner: str
    failing: tuple[str, ...]
    passing: tuple[str, ...]
    """Tests beside the failing ones that pass with the bug and without."""
    snippet: str
    """A script that shows the report's own example; "" where the report has none."""
    named: bool
    """Whether the report names the function."""


def read_case(task: Row, sandbox: RunningSandbox, rng: random.Random) -> Case:
    """Read the buggy file and work out what may be done to it.

    Raises:
        UnusableTask: the fix is not a change of one Python file, or does not fit it.
    """
    patches = parse_patch(task["patch"])
    if len(patches) != 1 or not patches[0].path.endswith(".py"):
        raise UnusableTask("fix not in one Python file", task["id"])
    file = patches[0].path
    text = sandbox.get(f"{task['workdir']}/{file}", LARGEST_FILE).decode("utf-8", "replace")
    fixed = _applied(text, patches[0])
    if fixed is None:
        raise UnusableTask("fix does not fit the file", task["id"])
    fix = change_between(text, fixed)
    try:
        module = Module(file, text)
        function = _function_around(module, task["symbol"] or "", fix)
        parse(fixed)
    except SyntaxError:
        raise UnusableTask("file is not valid Python", task["id"]) from None
    if function is None:
        raise UnusableTask("fix outside any function", task["id"])
    name = function.node.name
    return Case(
        file=file,
        text=text,
        function=name,
        span=(function.node.lineno, function.node.end_lineno or function.node.lineno),
        fix=fix,
        wrong=tuple(wrong_changes(module, function, fixed, fix, rng)),
        runner=runner_of(task["eval_script"]),
        failing=tuple(_plain_ids(task["fail_to_pass"])),
        passing=tuple(_beside(task, name, rng)),
        snippet=reproduction(task["problem_statement"]),
        named=re.search(rf"\b{re.escape(name)}\b", task["problem_statement"]) is not None,
    )


def rehearsed(case: Case, sandbox: RunningSandbox, timeout: float) -> Case:
    """The case with its wrong changes put to the test: first one that the failing tests see through and no other does.

    What an attempt shows after its edit would else give its end away: a fix that is none mostly breaks something.
    """
    tests = " ".join((*case.failing[:2], *case.passing))
    command = f"{case.runner} -q -rA --tb=no -p no:cacheprovider {tests}"
    for change in case.wrong[:REHEARSALS]:
        sandbox.put(REHEARSED, change.after.encode())
        result = sandbox.exec(
            f"cp {REHEARSED} {shlex.quote(case.file)}; timeout {timeout:.0f} {command}; git checkout -q -- . ; rm -f {REHEARSED}",
            timeout=timeout + 10,
        )
        if result.state != "ok":
            raise UnusableTask("wrong fix runs for ever", case.file)
        failed = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", result.output, re.MULTILINE))
        passed = set(re.findall(r"^PASSED (\S+)", result.output, re.MULTILINE))
        if _bare(case.failing[:2]) & failed and _bare(case.passing) <= passed:
            return replace(case, wrong=(change, *(other for other in case.wrong if other is not change)))
    return replace(case, passing=())


def _bare(ids: Sequence[str]) -> set[str]:
    return {each.strip("'") for each in ids}


def runner_of(script: str) -> str:
    """How the task runs pytest: its environment assignments and the command, and whether the repository's own options
    are left aside (they may need plugins that are not there)."""
    found = _RUNNER.search(script)
    runner = " ".join(found.group(1).split()) if found else "python3 -m pytest"
    return f"{runner} -o addopts=" if "-o addopts=" in script else runner


def reproduction(report: str) -> str:
    """The first example of a report as a script that prints what comes; "" where there is none that parses."""
    blocks = re.findall(r"```(?:python|py|pycon)?[ \t]*\n(.*?)\n[ \t]*```", report, re.DOTALL)
    prompts = re.findall(r"(?:^[ \t]*(?:>>>|\.\.\.) ?.*\n?)+", report, re.MULTILINE)
    for block in (*blocks, "".join(prompts)):
        lines = textwrap.dedent(block).splitlines()
        if any(line.lstrip().startswith(">>>") for line in lines):
            lines = [re.sub(r"^\s*(?:>>>|\.\.\.) ?", "", x) for x in lines if re.match(r"^\s*(?:>>>|\.\.\.)", x)]
        try:
            tree = parse("\n".join(lines))
        except SyntaxError:
            continue
        shown = [line for node in tree.body for line in _printing(node)]
        if any("print(" in line for line in shown):
            return "\n".join(shown)
    return ""


def _printing(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
        left, right = ast.unparse(node.test.left), ast.unparse(node.test.comparators[0])
        word = "want:" if isinstance(node.test.ops[0], ast.Eq | ast.Is) else "against:"
        return [f"print('got: ', repr({left}))", f"print('{word}', repr({right}))"]
    if isinstance(node, ast.Assert):
        return [f"print('got: ', repr({ast.unparse(node.test)}))"]
    if isinstance(node, ast.Expr) and not ast.unparse(node).startswith(("print(", "'", '"')):
        return [f"print(repr({ast.unparse(node)}))"]
    return ast.unparse(node).splitlines()


def _applied(text: str, patch: FilePatch) -> str | None:
    lines = text.split("\n")
    for hunk in sorted(patch.hunks, key=lambda hunk: -hunk.old_start):
        old = [line for line in hunk.image("-") if not line.startswith("\\")]
        at = max(hunk.old_start - 1, 0)
        if lines[at : at + len(old)] != old:
            return None
        lines[at : at + len(old)] = hunk.image("+")
    return "\n".join(lines)


def _function_around(module: Module, symbol: str, fix: Change) -> Function | None:
    around = [
        function
        for function in functions_of(module)
        if function.node.lineno <= fix.first <= (function.node.end_lineno or function.node.lineno) + 1
    ]
    named = [function for function in around if function.symbol == symbol]
    fitting = named or around
    return fitting[-1] if fitting else None


def _plain_ids(ids: Sequence[str]) -> list[str]:
    plain = [each for each in ids if _PLAIN_ID.match(each)]
    return [shlex.quote(each) for each in (plain or ids)]


def _beside(task: Row, name: str, rng: random.Random) -> list[str]:
    """Up to four tests of the failing tests' file, those that name the function first."""
    home = task["fail_to_pass"][0].split("::")[0]
    near = [each for each in task["pass_to_pass"] if each.split("::")[0] == home and _PLAIN_ID.match(each)]
    rng.shuffle(near)
    near.sort(key=lambda each: name.strip("_").lower() not in each.lower())
    return [shlex.quote(each) for each in near[: rng.randint(2, 4)]]
