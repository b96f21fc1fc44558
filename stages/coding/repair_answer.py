"""What a model answers to a single-turn repair task, as a patch: SEARCH/REPLACE blocks, or a unified diff.

A block's search text must stand exactly once in what the model was shown, so that an answer means one thing.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_BLOCK = re.compile(
    r"^<{5,9} ?SEARCH[ \t]*\n(.*?)^={5,9}[ \t]*\n(.*?)^>{5,9} ?REPLACE[ \t]*$", re.DOTALL | re.MULTILINE
)
_DIFF = re.compile(r"^```(?:diff|patch)[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shown:
    """The piece of a file that the model was shown: lines `start` to `end` (from 0, end excluded) of `text`."""

    path: str
    text: str
    start: int
    end: int

    @property
    def lines(self) -> str:
        """The piece itself."""
        return "".join(lines_of(self.text)[self.start : self.end])


def patch_of(said: str, shown: Shown) -> str | None:
    """The unified diff that an answer amounts to; "" where it changes nothing, None where it is no answer.

    Thoughts in <think> tags are no part of it. Of several diffs the last counts; blocks are applied one after another.
    """
    answer = _THOUGHT.sub("", said.replace("\r\n", "\n"))
    blocks = _BLOCK.findall(answer)
    if not blocks:
        diffs = _DIFF.findall(answer)
        return str(diffs[-1]) if diffs else None
    piece = shown.lines
    for search, replace in blocks:
        if not search.strip() or _count(piece, search) != 1:
            return None
        piece = _swap(piece, search, replace)
    before = lines_of(shown.text)
    after = [*before[: shown.start], *lines_of(piece), *before[shown.end :]]
    return unified(shown.path, before, after)


def lines_of(text: str) -> list[str]:
    """Lines with their ends, as git counts them: a form feed ends none."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def unified(path: str, before: list[str], after: list[str]) -> str:
    """A git diff of one file, from its lines with their ends; "" where nothing differs."""
    changed = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")
    out = [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in changed]
    return f"diff --git a/{path} b/{path}\n" + "".join(out) if out else ""


def _count(piece: str, search: str) -> int:
    """How often the search text stands at the beginning of a line, overlapping places counted."""
    return len(re.findall(f"(?=\n{re.escape(search)})", "\n" + _ended(piece)))


def _swap(piece: str, search: str, replace: str) -> str:
    ended = "\n" + _ended(piece)
    swapped = ended.replace("\n" + search, "\n" + replace, 1)[1:]
    return swapped if piece.endswith("\n") or not swapped.endswith("\n") else swapped[:-1]


def _ended(piece: str) -> str:
    return piece if piece.endswith("\n") else piece + "\n"
