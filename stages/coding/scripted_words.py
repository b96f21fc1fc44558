"""What the scripted agent says: plain sentences with room for what it saw, none of them peculiar to success or failure."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass

from contextrl_data.stages.coding.scripted_case import Case
from contextrl_data.stages.coding.scripted_edits import Change
from contextrl_data.stages.coding.syntax import parse

OPEN = (
    "I start with the layout of the repository.",
    "First I want to know what the project looks like.",
    "Let me get my bearings before I touch anything.",
    "I read the report; now I look at what there is in the repository.",
    "Before anything else, which files are there?",
)
FIND_NAMED = (
    "The report is about `{name}`, so I look for where that is defined.",
    "`{name}` is what the report calls. Where does it live?",
    "I search for the definition of `{name}`.",
    "Next, the place where `{name}` is defined.",
)
FIND = (
    "What the report describes should come from `{name}`; I look for its definition.",
    "The behaviour in the report belongs to `{name}`. Where is it defined?",
    "I follow the call down to `{name}` and look for its definition.",
    "`{name}` does the work behind that call, so I search for it.",
)
VIEW = (
    "It is in `{file}`. I read the whole function.",
    "Found it in `{file}`; now the code itself.",
    "`{file}` it is. Let me read it from the first line to the last.",
    "I read the function in `{file}` with a little of what surrounds it.",
)
CALLERS = (
    "Who else uses `{name}`? A change here should not surprise them.",
    "I check the other places that call `{name}`.",
    "Before I judge it, I look at how `{name}` is used elsewhere.",
    "Let me see what depends on `{name}`.",
)
TESTS = (
    "The tests show what is intended, so I read the one that is closest.",
    "What do the tests say it should do?",
    "I look at a test of this behaviour to be sure what is expected.",
    "The intended behaviour is written down in the tests; I read that part.",
)
REPRODUCE = (
    "Now I want to see the problem with my own eyes.",
    "I reproduce it before I form an opinion.",
    "Let me run it and see what happens.",
    "Time to reproduce the report.",
    "I run it as it stands, to have something to compare with later.",
)
PAIR = (
    "What comes is `{got}`; what should come is `{want}`.",
    "It gives `{got}` where `{want}` is wanted.",
    "So `{got}` on the one side and `{want}` on the other.",
    "The result is `{got}`, and `{want}` was expected.",
)
ERROR = (
    "It ends with `{error}`.",
    "The run stops at `{error}`.",
    "What I get is `{error}`.",
    "So the outcome is `{error}`.",
)
SHOWN = ("The output is `{line}`.", "It prints `{line}`.", "I see `{line}`.", "What comes out is `{line}`.")
QUIET = (
    "That alone tells me little.",
    "There is not much in that output.",
    "The output is not very telling.",
)
SUSPECT = (
    "Reading the function again with that in mind, I come to {place}.",
    "Going through the function with this case in hand, {place} catches my eye.",
    "For this input the result is decided by {place}, as far as I can see.",
    "I walk through the code with this input; it leads me to {place}.",
    "My guess is {place}.",
)
CLOSER = (
    "I look at it closely before I change it.",
    "Let me read those lines once more.",
    "I want to see exactly what stands there.",
    "A closer look at these lines.",
)
EDIT = (
    "I change {short} so that the case at hand comes out as it should, and leave the rest alone.",
    "The smallest change that covers it is in {short}.",
    "I correct {short}; nothing else has to move.",
    "I am fairly sure now. I change {short} and keep everything around it.",
)
STILL = (
    "{seen} So that was not it. I take the change back.",
    "{seen} No difference where it matters, so I undo this.",
    "{seen} My first idea does not hold; back to how it was.",
)
CHECK = (
    "I run a few tests of this module.",
    "Do the tests of this file agree?",
    "Let me check with some of the module's tests.",
    "I run tests from the same file.",
)
LOOK = (
    "I read the changed lines and make sure that the file still parses.",
    "A quick look at the result, and whether it is valid Python.",
    "Does the file still parse, and does it read well?",
)
PASSED = ("`{seen}`. Good.", "`{seen}`, as hoped.", "The tests agree: `{seen}`.", "That gives `{seen}`.")
PARSES = ("It reads well.", "That looks right.", "Fine.")
DIFF = (
    "I write the patch and look at it.",
    "Now the patch, with only this file in it.",
    "I collect the change in a patch file and check what is in it.",
    "The change is complete; I put it in a patch and read it.",
)
SUBMIT = (
    "The patch holds the one change that I wanted. I submit it.",
    "That is the whole change, and it addresses the report. Submitting.",
    "The patch is what I meant to do; the report is dealt with. I hand it in.",
    "Only the intended lines are in the patch, so I submit.",
)
MORE = (
    "I am not convinced yet, so I look at one more place.",
    "Something may still be missing. I check further.",
    "Let me look a little further before I finish.",
    "I want more certainty than this.",
)

_KINDS: tuple[tuple[type[ast.AST], str], ...] = (
    (ast.If, "the condition"),
    (ast.While, "the condition of the loop"),
    (ast.For, "the head of the loop"),
    (ast.Return, "what is returned"),
    (ast.Raise, "the error that is raised"),
    (ast.AugAssign, "the update"),
    (ast.Assign, "the assignment"),
    (ast.AnnAssign, "the assignment"),
    (ast.With, "the `with` block"),
    (ast.Try, "the error handling"),
    (ast.FunctionDef, "the signature"),
    (ast.AsyncFunctionDef, "the signature"),
    (ast.Expr, "the call"),
)


@dataclass(frozen=True)
class Seen:
    """What an observation showed, in one quotable piece."""

    got: str = ""
    want: str = ""
    error: str = ""
    line: str = ""
    failed: bool = False

    def told(self, rng: random.Random) -> str:
        """One sentence about it."""
        if self.got and self.want:
            return rng.choice(PAIR).format(got=self.got, want=self.want)
        if self.error:
            return rng.choice(ERROR).format(error=self.error)
        if self.line:
            return rng.choice(SHOWN).format(line=self.line)
        return rng.choice(QUIET)


def read_output(output: str, returncode: int) -> Seen:
    """Pick the telling part of what a test run or a script printed."""
    got = want = error = line = ""
    for text in output.splitlines():
        compared = re.match(r"^E\s+(?:AssertionError: )?assert (.+) == (.+)$", text)
        raised = re.match(r"^(?:E\s+)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt|StopIteration)\b(?:: .*)?)$", text)
        stated = re.match(r"^E\s+(?:AssertionError: |Failed: )?(.+)$", text)
        if text.startswith("got: ") and not got:
            got = text[5:].strip()
        elif text.startswith(("want: ", "against: ")) and not want:
            want = text.split(": ", 1)[1].strip()
        elif compared and not got:
            got, want = compared.group(1), compared.group(2)
        elif raised and not raised.group(1).startswith("AssertionError: assert"):
            error = error or raised.group(1)
        elif stated and not error:
            error = stated.group(1)
        if text.strip():
            line = text.strip()
    failed = returncode != 0 or (bool(got) and bool(want) and got != want)
    return Seen(_short(got), _short(want), _short(error), _short(line), failed)


def summary_of(output: str) -> str:
    """pytest's last line: `3 passed in 0.00s`, or what took its place."""
    lines = [line.strip("= ") for line in output.splitlines() if line.strip()]
    return _short(lines[-1]) if lines else "no output"


def _short(text: str, limit: int = 90) -> str:
    text = " ".join(text.replace("`", "'").split())
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def place_of(case: Case, change: Change) -> tuple[str, str]:
    """Where a change is, in words that do not quote it: a long and a short form."""
    tree = parse(case.text)
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno == case.span[0]
    ]
    around: list[ast.AST] = [
        node
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.stmt) and node.lineno <= change.first <= (node.end_lineno or node.lineno)
    ]
    around.sort(key=lambda node: (node.lineno, -node.end_lineno))  # type: ignore[attr-defined]
    inner = around[-1] if around else None
    kind = next((word for type_, word in _KINDS if isinstance(inner, type_)), "the step")
    if change.last < change.first:
        kind = "the step"
    holders = around[:-1]
    inside = ""
    if any(isinstance(node, ast.For | ast.While) for node in holders):
        inside = " inside the loop"
    elif any(isinstance(node, ast.Try) for node in holders):
        inside = " under the `try`"
    elif any(isinstance(node, ast.If) for node in holders):
        inside = " inside the branch"
    first, last = case.span
    share = (change.first - first) / max(last - first, 1)
    where = "near the top" if share < 0.34 else "half-way down" if share < 0.7 else "towards the end"
    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not holders:
        return f"{kind} of `{case.function}`", kind
    return f"{kind}{inside}, {where} of `{case.function}`", f"{kind}{inside}"
