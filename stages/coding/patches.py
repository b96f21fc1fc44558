"""Unified diffs as agents leave them: parsed by unidiff where it can, and never a crash where it cannot."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

_FILE_START = re.compile(r"^(?:diff --git |Index: )")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_TEST_PART = re.compile(r"^(?:tests?|testing|test_.*|.*_tests?|conftest)$")


@dataclass(frozen=True, slots=True)
class Change:
    """A run of removed and added lines without a context line between them."""

    old_line: int
    """Line of the old file, from 1, where the run begins."""
    before: str
    """The context line just above inside the hunk; "" where there is none."""
    removed: tuple[str, ...]
    added: tuple[str, ...]
    after: str
    """The context line just below inside the hunk."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """One hunk. `lines` are (sign, text) with sign " ", "-" or "+"."""

    old_start: int
    section: str
    """What git wrote behind the second "@@": the nearest line above that looks like a definition."""
    lines: tuple[tuple[str, str], ...]

    def image(self, sign: str) -> list[str]:
        """The lines of the old ("-") or the new ("+") file."""
        return [text for mark, text in self.lines if mark in (" ", sign)]

    def changes(self) -> list[Change]:
        """The runs of changed lines, each with its neighbours."""
        found: list[Change] = []
        index, old = 0, self.old_start
        while index < len(self.lines):
            if self.lines[index][0] == " ":
                index, old = index + 1, old + 1
                continue
            end = index
            while end < len(self.lines) and self.lines[end][0] != " ":
                end += 1
            run = self.lines[index:end]
            removed = tuple(text for mark, text in run if mark == "-")
            found.append(
                Change(
                    old_line=old,
                    before=self.lines[index - 1][1] if index else "",
                    removed=removed,
                    added=tuple(text for mark, text in run if mark == "+"),
                    after=self.lines[end][1] if end < len(self.lines) else "",
                )
            )
            index, old = end, old + len(removed)
        return found


@dataclass(frozen=True, slots=True)
class FilePatch:
    """What a diff does to one file."""

    path: str
    """Path after the change (before it, where the file was deleted)."""
    old_path: str
    hunks: tuple[Hunk, ...]
    binary: bool = False

    @property
    def changes(self) -> list[Change]:
        """All runs of changed lines."""
        return [change for hunk in self.hunks for change in hunk.changes()]


def is_test_path(path: str) -> bool:
    """Whether a path looks like tests: by folder (`tests/`), file (`test_x.py`, `x_test.py`) or `conftest.py`."""
    pure = PurePosixPath(path)
    return any(_TEST_PART.match(part.lower()) for part in (*pure.parts[:-1], pure.stem))


def parse_patch(text: str) -> list[FilePatch]:
    """Every file of a unified diff. Damaged sections lose their damaged hunks; what is no diff gives nothing."""
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    files: list[FilePatch] = []
    for section in _sections(text):
        try:
            # StringIO splits at "\n" only: form feeds and lone carriage returns belong to the lines.
            parsed = PatchSet(io.StringIO(section, newline="\n"))
        except (UnidiffParseError, ValueError):
            continue
        for entry in parsed:
            hunks = tuple(
                Hunk(
                    old_start=int(hunk.source_start),
                    section=str(hunk.section_header).strip(),
                    lines=tuple(
                        (line.line_type, line.value.rstrip("\n")) for line in hunk if line.line_type in (" ", "-", "+")
                    ),
                )
                for hunk in entry
            )
            old = _plain_path(entry.source_file)
            new = _plain_path(entry.target_file)
            path = new or old
            if path:
                files.append(FilePatch(path, old or path, hunks, bool(entry.is_binary_file)))
    return files


def named_paths(text: str) -> set[str]:
    """Every path that `parse_patch` could find in a diff, and perhaps more; much faster, for it reads headers only."""
    return {path for line in text.split("\n") if line.startswith(("--- ", "+++ ")) and (path := _plain_path(line[4:]))}


def _plain_path(name: str | None) -> str:
    name = (name or "").split("\t")[0].strip().strip('"')
    if name in ("", "/dev/null", "dev/null"):
        return ""
    return name[2:] if name[:2] in ("a/", "b/") else name


def _sections(text: str) -> Iterator[str]:
    """The diff of one file at a time, holding only whole hunks, so that one bad hunk spoils no other."""
    section: list[str] = []
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        if _FILE_START.match(line) or (_is_file_header(lines, index) and _has_header(section)):
            if section:
                yield "\n".join(section) + "\n"
            section = []
        hunk = _HUNK.match(line)
        if hunk is None:
            section.append(line)
            index += 1
            continue
        end = _hunk_end(lines, index, hunk)
        if end is None:
            index += 1
            continue
        section.extend(line or " " for line in lines[index:end])
        index = end
    if section:
        yield "\n".join(section) + "\n"


def _is_file_header(lines: list[str], index: int) -> bool:
    return lines[index].startswith("--- ") and index + 1 < len(lines) and lines[index + 1].startswith("+++ ")


def _has_header(section: list[str]) -> bool:
    return any(line.startswith("+++ ") for line in section)


def _hunk_end(lines: list[str], index: int, header: re.Match[str]) -> int | None:
    """Index past the hunk's last line; None where the hunk is cut short or holds a line that cannot be in one."""
    old = int(header.group(2)) if header.group(2) is not None else 1
    new = int(header.group(4)) if header.group(4) is not None else 1
    index += 1
    while old > 0 or new > 0:
        # An empty line is an empty context line whose single blank was trimmed; at the very end it is no line.
        if index >= len(lines) or (index == len(lines) - 1 and not lines[index]):
            return None
        sign = lines[index][:1]
        if sign in ("-", " ", "", "\r"):
            old -= 1
        if sign in ("+", " ", "", "\r"):
            new -= 1
        if sign not in ("-", "+", " ", "", "\r", "\\") or old < 0 or new < 0:
            return None
        index += 1
    while index < len(lines) and lines[index].startswith("\\"):
        index += 1
    return index
