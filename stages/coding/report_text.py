"""The words of a bug report. Real reports differ in order, length and tone, and so do these."""

from __future__ import annotations

import ast
import builtins
import random
import sys
from collections.abc import Sequence

from contextrl_data.stages.coding.reproduce import Example
from contextrl_data.stages.coding.syntax import parse

LONG_CALL = 60
"""Characters; a longer call does not go into a title."""

_RAISED_TITLES = (
    "{name} raises {kind}",
    "{kind} from {name}",
    "{name} fails with {kind} on valid input",
    "Unexpected {kind} when calling {name}",
)
_WRONG_TITLES = (
    "{name} returns a wrong result",
    "Wrong result from {name}",
    "{name}: unexpected output",
    "{name} gives the wrong answer",
    "Incorrect behaviour of {name}",
)
_SILENT_TITLES = (
    "{name} no longer raises {expected}",
    "{name} accepts input that it should reject",
    "No {expected} from {name}",
)
_OPENINGS = (
    "I ran into this with {version}.",
    "Seen with {version}.",
    "Using {version}, the following does not work as documented.",
    "Found this while upgrading to {version}.",
    "We hit this in our code base after moving to {version}.",
    "",
)
_SHOW = (
    "Minimal example:",
    "To reproduce:",
    "Here is what I run:",
    "This shows it:",
    "Steps to reproduce:",
    "A small script that triggers it:",
)
_PARTIAL = ("Roughly what I do:", "The relevant part of my code:", "The failing part is:")
_GOT = ("I get `{actual}`", "It gives `{actual}`", "The result is `{actual}`", "What comes back is `{actual}`")
_WANT = (" but I expected `{expected}`.", ", while it should be `{expected}`.", " instead of `{expected}`.")
_ONLY_WANT = (
    "I expected `{expected}`, and that is not what comes back.",
    "This should give `{expected}`, but it does not.",
    "The result should be `{expected}`; it is something else.",
)
_RAISED = (
    "It stops with `{error}`.",
    "This ends in `{error}`.",
    "What I see is `{error}`.",
    "The call raises `{error}`.",
)
_RAISED_WANT = (" I expected `{expected}`.", " It should give `{expected}`.", " The right result is `{expected}`.")
_RAISED_OTHER = (" I expected `{expected}`.", " It should raise `{expected}`.", " `{expected}` would be right.")
_SILENT = (
    "No exception is raised; I expected `{expected}`.",
    "This should raise `{expected}`, but it goes through.",
    "Nothing is raised here. `{expected}` is what I would expect.",
)
_OTHER = (
    "The same problem shows up here:",
    "Another case:",
    "It also goes wrong with this:",
    "Possibly related:",
)
_CLOSINGS = ("", "", "", "Is this intended?", "Python 3.11, Linux.")


def compose(first: Example, others: Sequence[Example], source: str, order: random.Random) -> str:
    """A title and a body."""
    name, _, version = source.rpartition("-")
    opening = order.choice(_OPENINGS).format(version=f"{name} {version}")
    parts = [title(first, order), opening, *_shown(first, order)]
    for other in others:
        parts += [order.choice(_OTHER), _fence(other.snippet), _outcome(other, order)]
    closing = order.choice(_CLOSINGS)
    return "\n\n".join(part for part in [*parts, closing] if part) + "\n"


def title(example: Example, order: random.Random) -> str:
    """One line that names what was called and what went wrong."""
    called = _called(example.call) or _called(example.snippet) or _imported(example.snippet)
    name = f"`{called}`" if called else "Example below"
    if example.error:
        return order.choice(_RAISED_TITLES).format(name=name, kind=example.error.partition(":")[0])
    if example.actual == "no exception":
        return order.choice(_SILENT_TITLES).format(name=name, expected=example.expected)
    if example.actual and len(example.call) <= LONG_CALL and "\n" not in example.call and order.random() < 0.4:
        return f"`{example.call}` gives `{_brief(example.actual)}`"
    return order.choice(_WRONG_TITLES).format(name=name)


def _shown(example: Example, order: random.Random) -> list[str]:
    lead = order.choice(_SHOW if example.complete else _PARTIAL)
    outcome = _outcome(example, order)
    if order.random() < 0.3:
        return [outcome, lead, _fence(example.snippet)]
    return [lead, _fence(example.snippet), outcome]


def _outcome(example: Example, order: random.Random) -> str:
    values = {"actual": example.actual, "expected": example.expected, "error": example.error}
    if example.error:
        wanted = _RAISED_OTHER if example.raises else _RAISED_WANT
        return (order.choice(_RAISED) + (order.choice(wanted) if example.expected else "")).format(**values)
    if example.actual == "no exception":
        return order.choice(_SILENT).format(**values)
    if example.actual and example.expected:
        return (order.choice(_GOT) + order.choice(_WANT)).format(**values)
    if example.expected:
        return order.choice(_ONLY_WANT).format(**values)
    return (order.choice(_GOT) + ", which is wrong.").format(**values)


def _fence(code: str) -> str:
    return f"```python\n{code}\n```"


def _brief(value: str) -> str:
    return value if len(value) <= LONG_CALL else value[:LONG_CALL] + "..."


def _called(call: str) -> str:
    """The name of what is called: the outermost call that is neither a builtin nor the standard library's."""
    try:
        tree = parse(call)
    except SyntaxError:
        return ""
    foreign = _standard_names(tree)
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(node.func)
        plain = name.replace(".", "").replace("_", "").isalnum()
        if plain and not hasattr(builtins, name) and name.partition(".")[0] not in foreign:
            return name.removeprefix("self.")
    return ""


def _standard_names(tree: ast.AST) -> set[str]:
    found = {"pytest"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                origin = node.module if isinstance(node, ast.ImportFrom) else alias.name
                if (origin or "").partition(".")[0] in sys.stdlib_module_names:
                    found.add((alias.asname or alias.name).partition(".")[0])
    return found


def _imported(snippet: str) -> str:
    """The name that a snippet imports last."""
    try:
        tree = parse(snippet)
    except SyntaxError:
        return ""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return nodes[-1].names[-1].name if nodes else ""
