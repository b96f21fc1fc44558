"""A diff from the edit commands of a run whose final patch nobody kept, where the edited text had been shown."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextrl_data.stages.coding.edit_commands import CALL, PARAMETER, find_edits, form_of, shell_texts
from contextrl_data.stages.coding.shell import Command, commands
from contextrl_data.stages.coding.syntax import parse
from contextrl_data.stages.coding.views import blocks, views_of

_ROOT = re.compile(r"^(?:\./|/testbed/|/repo/|/app/|/workspace/[^/]+/)")
_SED = re.compile(
    r"""^sed\s+-i\s+(?:-e\s+)?(['"])(?P<line>\d*)s(?P<mark>[/|#@,])(?P<old>(?:\\.|(?!(?P=mark)).)+)(?P=mark)"""
    r"""(?P<new>(?:\\.|(?!(?P=mark)).)*)(?P=mark)(?P<flag>g?)\1\s+(?P<path>[^\s'"]+)\s*$"""
)
_NOT_PLAIN = re.compile(r"(?<!\\)[*\[\]^$]|\\[^/|#@,.'\"]")

_UNDONE = re.compile(r"\bgit\s+(?:checkout|restore|stash|reset|revert|clean)\b|>undo_edit<")


@dataclass(frozen=True, slots=True)
class _Step:
    """One edit that can be repeated on a text: `old` None rewrites the whole file."""

    path: str
    old: str | None
    new: str
    line: int = 0
    """Only in this line, counted in the file as it was shown; 0: anywhere."""
    each: bool = False
    """Every occurrence, not only one that must be the only one."""


def rebuilt_patch(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """The diff that the run's edits add up to; None where an edit cannot be repeated on what the run had shown.

    Understood are `str_replace` and `create` tools, `sed -i` with plain text, `.replace(old, new)` in Python
    heredocs, and rewrites by `cat > file` of a file that was shown whole. One edit that is not understood ends it, and
    so does taking edits back with git. Parts of a file that were never shown are not in the diff.
    """
    before: dict[str, dict[int, list[str]]] = {}
    after: dict[str, dict[int, list[str]]] = {}
    for index, message in enumerate(messages):
        content = str(message["content"] or "")
        if message["role"] != "assistant":
            continue
        if before and _UNDONE.search(content):
            return None
        if not find_edits(content, ()):
            continue
        if _refused(messages, index):
            continue
        steps = list(_steps(content))
        if None in steps:
            return None
        for step in steps:
            assert step is not None
            if step.path not in before:
                shown = blocks(views_of(messages[:index], step.path))
                before[step.path] = {view.start or 1: list(view.lines) for view in shown}
                after[step.path] = {start: list(lines) for start, lines in before[step.path].items()}
            if not _apply(step, after[step.path]):
                return None
    return "".join(_diff(path, before[path], after[path]) for path in sorted(before)) or None


def _refused(messages: Sequence[Mapping[str, Any]], index: int) -> bool:
    """Whether the edit's own output says that it did nothing."""
    answer = str(messages[index + 1]["content"] or "") if index + 1 < len(messages) else ""
    return bool(re.search(r"No replacement was performed|<returncode>[1-9]|^ERROR:", answer[:400], re.MULTILINE))


def _steps(content: str) -> Iterator[_Step | None]:
    """The edits of one message in order; None for one that is not understood."""
    known = 0
    for call in CALL.finditer(content):
        given = {match.group(1): _trimmed(match.group(2)) for match in PARAMETER.finditer(call.group(2))}
        verb, path = given.get("command", ""), _ROOT.sub("", given.get("path", ""))
        if verb == "str_replace" and "old_str" in given and path:
            yield _Step(path, given["old_str"], given.get("new_str", ""))
            known += 1
        elif verb == "create" and path and find_edits(call.group(), ()):
            yield _Step(path, None, given.get("file_text", ""))
            known += 1
    for start, text in shell_texts(content):
        spoken_of = content[start - 1 : start] == "`"  # `sed ...` inside a sentence is not run
        for command in commands(text):
            if form_of(command, text, ()):
                known += 1 + len(command.bodies)
                if not spoken_of:
                    yield from _shell_steps(command, text)
    if known < len(find_edits(content, ())):
        yield None


def _shell_steps(command: Command, text: str) -> Iterator[_Step | None]:
    body = "\n".join(text[first:last].rstrip().rpartition("\n")[0] for first, last in command.bodies)
    sed = _SED.match(command.words.strip())
    if sed:
        plain = not _NOT_PLAIN.search(sed["old"]) and not re.search(r"(?<!\\)[&]|\\[\dn]", sed["new"])
        old, new = (re.sub(r"\\(.)", r"\1", sed[part]) for part in ("old", "new"))
        path = _ROOT.sub("", sed["path"])
        yield _Step(path, old, new, int(sed["line"] or 0), each=True) if plain and "." not in old else None
    elif command.words.startswith("cat") and len(command.targets) == 1 and ">>" not in command.text and body:
        yield _Step(_ROOT.sub("", command.targets[0]), None, body)
    elif command.words.startswith("python") and body:
        yield from _python_steps(body)
    else:
        yield None


def _python_steps(body: str) -> Iterator[_Step | None]:
    """`text.replace(old, new)` with constant strings, in a script that names one file."""
    try:
        tree = parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield None
        return
    values: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found = _text(node.value, values)
            if found is not None:
                values[node.targets[0].id] = found
    opened = {
        _ROOT.sub("", found)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (node.func.id if isinstance(node.func, ast.Name) else "") in ("open", "Path")
        and node.args
        and (found := _text(node.args[0], values)) is not None
    }
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("replace", "sub")
    ]
    if len(opened) != 1 or not calls:
        yield None
        return
    (path,) = opened
    for call in sorted(calls, key=lambda call: (call.lineno, call.end_col_offset or 0)):
        texts = [_text(argument, values) for argument in call.args]
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr == "sub" or len(texts) not in (2, 3) or texts[0] is None or texts[1] is None:
            yield None
        else:
            yield _Step(path, texts[0], texts[1], each=len(texts) == 2)


def _text(node: ast.expr, values: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return values.get(node.id) if isinstance(node, ast.Name) else None


def _trimmed(value: str) -> str:
    """A parameter's value: the line end before the closing tag is the format's, the rest is the agent's."""
    return value.removesuffix("\n")


def _apply(step: _Step, texts: dict[int, list[str]]) -> bool:
    """Repeat an edit on the known stretches of a file; whether that was possible."""
    if step.old is None:
        if list(texts) != [1]:
            return False
        texts[1] = step.new.split("\n")
        return True
    if not step.old:
        return False
    if step.line:
        for start, lines in texts.items():
            if start <= step.line < start + len(lines) and step.old in lines[step.line - start]:
                lines[step.line - start] = lines[step.line - start].replace(step.old, step.new)
                return True
        return False
    joined = {start: "\n".join(lines) for start, lines in texts.items()}
    count = sum(text.count(step.old) for text in joined.values())
    if count == 0 or (count > 1 and not step.each):
        return False
    texts.update({start: text.replace(step.old, step.new).split("\n") for start, text in joined.items()})
    return True


def _diff(path: str, before: Mapping[int, list[str]], after: Mapping[int, list[str]]) -> str:
    hunks: list[str] = []
    moved = 0
    for start in sorted(before):
        old, new = before[start], after[start]
        for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(3):
            hunks.extend(_hunk(group, old, new, start, moved))
        moved += len(new) - len(old)
    return "".join([f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n", *hunks]) if hunks else ""


def _hunk(
    group: Sequence[tuple[str, int, int, int, int]], old: list[str], new: list[str], start: int, moved: int
) -> Iterator[str]:
    low, high, new_low, new_high = group[0][1], group[-1][2], group[0][3], group[-1][4]
    yield f"@@ -{start + low},{high - low} +{start + moved + new_low},{new_high - new_low} @@\n"
    for tag, old_low, old_high, new_from, new_to in group:
        if tag == "equal":
            yield from (f" {line}\n" for line in old[old_low:old_high])
        else:
            yield from (f"-{line}\n" for line in old[old_low:old_high])
            yield from (f"+{line}\n" for line in new[new_from:new_to])
