"""The commands with which the scripted agent changes a file, in the ways that agents do."""

from __future__ import annotations

import difflib
import random
import re
from dataclasses import dataclass

STYLES = ("replace", "lines", "sed", "diff", "function")
LONGEST_FUNCTION = 40


@dataclass(frozen=True)
class Change:
    """One way to change the file: its text afterwards, and the lines (from 1) that go and come."""

    after: str
    first: int
    last: int
    """Last line that goes; `first - 1` where lines are only added."""
    new: tuple[str, ...]


def change_between(before: str, after: str) -> Change:
    """The smallest run of lines that turns one text into the other."""
    old, new = before.split("\n"), after.split("\n")
    if old == new:
        return Change(after, 1, 0, ())
    shorter = min(len(old), len(new))
    head = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    tail = next((n for n in range(shorter - head) if old[-1 - n] != new[-1 - n]), shorter - head)
    return Change(after, head + 1, len(old) - tail, tuple(new[head : len(new) - tail]))


def edit_command(file: str, text: str, change: Change, span: tuple[int, int], rng: random.Random) -> str:
    """One command that turns `text` into `change.after`, in a manner of the generator's choosing."""
    styles = list(STYLES)
    rng.shuffle(styles)
    for style in styles:
        command = _MAKERS[style](file, text, change, span)
        if command:
            return command
    return _lines(file, text, change, span)


def _block(lines: list[str]) -> str:
    return "\n".join(lines)


def _replace(file: str, text: str, change: Change, span: tuple[int, int]) -> str:
    """Replace a stretch of text that occurs once, with as much around it as that needs."""
    lines = text.split("\n")
    for margin in range(4):
        low, high = max(change.first - 1 - margin, 0), min(change.last + margin, len(lines))
        old = _block(lines[low:high])
        new = _block([*lines[low : change.first - 1], *change.new, *lines[change.last : high]])
        if old.strip() and text.count(old) == 1 and text.replace(old, new) == change.after:
            break
    else:
        return ""
    if "'''" in old + new or "\\" in old + new:
        return ""
    return (
        "python3 - <<'EOF'\nfrom pathlib import Path\n\n"
        f"path = Path('{file}')\ntext = path.read_text()\n"
        f"old = '''{old}\n'''\nnew = '''{new}\n'''\n"
        "assert text.count(old) == 1\npath.write_text(text.replace(old, new))\nEOF"
    )


def _lines(file: str, text: str, change: Change, span: tuple[int, int]) -> str:
    new = "".join(f"    {line!r},\n" for line in change.new)
    return (
        f"python3 - <<'EOF'\npath = '{file}'\nlines = open(path).read().split('\\n')\n"
        f"lines[{change.first - 1}:{change.last}] = [\n{new}]\n"
        "open(path, 'w').write('\\n'.join(lines))\nEOF"
    )


def _sed(file: str, text: str, change: Change, span: tuple[int, int]) -> str:
    if change.last != change.first or len(change.new) != 1:
        return ""
    new = change.new[0]
    if re.search(r"[\\'&|]", new):
        return ""
    return f"sed -i '{change.first}s|.*|{new}|' {file}"


def _diff(file: str, text: str, change: Change, span: tuple[int, int]) -> str:
    made = difflib.unified_diff(
        text.split("\n")[:-1], change.after.split("\n")[:-1], f"a/{file}", f"b/{file}", lineterm=""
    )
    body = _block(list(made))
    return f"git apply - <<'EOF'\n{body}\nEOF" if text.endswith("\n") and change.after.endswith("\n") else ""


def _function(file: str, text: str, change: Change, span: tuple[int, int]) -> str:
    first, last = span
    if last - first >= LONGEST_FUNCTION or change.first < first or change.last > last:
        return ""
    lines = text.split("\n")
    body = [*lines[first - 1 : change.first - 1], *change.new, *lines[change.last : last]]
    whole = _block(body)
    if "'''" in whole or "\\" in whole:
        return ""
    return (
        f"python3 - <<'EOF'\nfrom pathlib import Path\n\npath = Path('{file}')\n"
        f"lines = path.read_text().split('\\n')\nbody = '''\\\n{whole}'''\n"
        f"lines[{first - 1}:{last}] = body.split('\\n')\npath.write_text('\\n'.join(lines))\nEOF"
    )


_MAKERS = {"replace": _replace, "lines": _lines, "sed": _sed, "diff": _diff, "function": _function}
