"""The little that reading needs of a diff: is it one, which paths does it touch, and its reverse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_HEADER = re.compile(r"^diff --git (?:\"?a/(.{0,500}?)\"?) (?:\"?b/(.{0,500}?)\"?)\r?$", re.MULTILINE)
_OLD = re.compile(r"^--- (?:a/)?([^\t\r\n]+)", re.MULTILINE)
_NEW = re.compile(r"^\+\+\+ (?:b/)?([^\t\r\n]+)", re.MULTILINE)
_HUNK = re.compile(r"^@@ -(\d+(?:,\d+)?) \+(\d+(?:,\d+)?) @@(.*)$", re.DOTALL)
_SWAPPED = {
    "new file mode ": "deleted file mode ",
    "deleted file mode ": "new file mode ",
    "old mode ": "new mode ",
    "new mode ": "old mode ",
    "rename from ": "rename to ",
    "rename to ": "rename from ",
}
_GENERIC = {
    "__init__.py",
    "__main__.py",
    "setup.py",
    "setup.cfg",
    "conftest.py",
    "README.md",
    "pyproject.toml",
    "utils.py",
}


MOST_PATHS = 50
"""Paths of a diff that are looked for; more tell nothing new."""


def normal_patch(text: str) -> str:
    """The diff as git wrote it: a terminal in between turns every line end into CRLF and may put blank lines ahead.

    Carriage returns that belong to a file's own lines stay: there the headers have none.
    """
    if "\r" in text and re.search(r"^(?:diff --git |@@ -)[^\n]*\r$", text, re.MULTILINE):
        text = text.replace("\r\n", "\n")
    text = text.lstrip("\r\n")
    return text if not text or text.endswith("\n") else text + "\n"


def is_diff(text: str) -> bool:
    """Whether a text has at least one file header of a unified diff."""
    return any(_headers(text)) or ("+++ " in text and _NEW.search(text) is not None)


def patch_paths(text: str) -> list[str]:
    """Paths that a diff touches, before and after, each once, in order."""
    found = dict.fromkeys(path for header in _headers(text) for path in header.groups())
    if not found:
        found = dict.fromkeys([*_OLD.findall(text), *_NEW.findall(text)])
    return [path.strip() for path in found if path.strip() and path.strip() != "/dev/null"]


def _headers(text: str) -> Iterator[re.Match[str]]:
    """The lines of git's own that begin a file; most lines of a patch are none, and are not tried."""
    place = text.find("diff --git ")
    while place >= 0:
        if header := _HEADER.match(text, place):
            yield header
        place = text.find("diff --git ", place + 1)


def mentions(texts: Iterable[str], paths: list[str]) -> bool:
    """Whether any of the paths occurs in any of the texts: whole, or as a file name that says enough."""
    names = dict.fromkeys(paths[:MOST_PATHS])
    names |= dict.fromkeys(name for path in paths[:MOST_PATHS] if (name := path.rsplit("/", 1)[-1]) not in _GENERIC)
    return any(name in text for text in texts for name in names)


def reverse_patch(text: str) -> str:
    """The diff that undoes a diff; applying both leaves nothing.

    Raises:
        ValueError: a binary change, whose old content a diff does not hold.
    """
    out: list[str] = []
    run: list[str] = []  # changed lines of a hunk; removals go first, as git writes them
    inside = False
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if line.startswith("GIT binary patch"):
            raise ValueError("a binary change cannot be reversed")
        if inside and line[:1] in ("+", "-", "\\") and not _is_file_header(lines, index):
            run.append(line)
            continue
        out.extend(_reversed_run(run))
        run = []
        hunk = _HUNK.match(line)
        inside = hunk is not None or (inside and line[:1] in (" ", ""))
        out.append(f"@@ -{hunk[2]} +{hunk[1]} @@{hunk[3]}" if hunk else line if inside else _reversed_header(line))
    out.extend(_reversed_run(run))
    return "\n".join(_old_first(out))


def _is_file_header(lines: list[str], index: int) -> bool:
    """A removed line that begins with "-- " looks like a header; a header is followed by "+++ " and a hunk."""
    return (
        lines[index].startswith("--- ")
        and len(lines) > index + 2
        and lines[index + 1].startswith("+++ ")
        and lines[index + 2].startswith("@@ -")
    )


def _reversed_run(run: list[str]) -> list[str]:
    """Swap the signs of one run; a "no newline" mark stays behind its line."""
    removed: list[str] = []
    added: list[str] = []
    target = removed
    for line in run:
        if line.startswith("\\"):
            target.append(line)
            continue
        target = removed if line.startswith("+") else added
        target.append(("-" if target is removed else "+") + line[1:])
    return removed + added


def _reversed_header(line: str) -> str:
    for start, other in _SWAPPED.items():
        if line.startswith(start):
            return other + line.removeprefix(start)
    found = re.match(r"^diff --git a/(.*) b/(.*)$", line)
    if found:
        return f"diff --git a/{found[2]} b/{found[1]}"
    found = re.match(r"^index ([0-9a-f]+)\.\.([0-9a-f]+)(.*)$", line)
    if found:
        return f"index {found[2]}..{found[1]}{found[3]}"
    if line.startswith("--- "):
        return "+++ " + re.sub(r"^a/", "b/", line.removeprefix("--- "))
    if line.startswith("+++ "):
        return "--- " + re.sub(r"^b/", "a/", line.removeprefix("+++ "))
    return line


def _old_first(lines: list[str]) -> list[str]:
    """Swapping headers in place leaves the new side's line first: put each pair into git's order."""
    for index in range(len(lines) - 1):
        first, second = lines[index], lines[index + 1]
        if (
            (first.startswith("+++ ") and second.startswith("--- ") and _follows_header(lines, index))
            or (first.startswith("rename to ") and second.startswith("rename from "))
            or (first.startswith("new mode ") and second.startswith("old mode "))
        ):
            lines[index : index + 2] = [second, first]
    return lines


def _follows_header(lines: list[str], index: int) -> bool:
    return index + 2 < len(lines) and lines[index + 2].startswith("@@ -")
