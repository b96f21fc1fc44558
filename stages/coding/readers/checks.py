"""What every run must pass, whatever its format: it edits, and its patch is its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contextrl_data.stages.coding.readers.diffs import is_diff, mentions, normal_patch, patch_paths
from contextrl_data.stages.coding.readers.found import BETWEEN, Message, Unusable
from contextrl_data.stages.coding.readers.in_arrow import MessagesInArrow

# Every stretch is bounded: a hostile line must not be searched once for each of its words.
# A plain mark decides at once whether its pattern is worth a search: messages are long, and this is asked of all.
_FORMS: tuple[tuple[str, re.Pattern[str] | None], ...] = (
    ("<<", re.compile(r"<<-?\s*['\"\\]?[A-Za-z_]")),
    ("sed ", re.compile(r"sed\b[^\n]{0,300}?\s(?:-\w*i|--in-place)")),
    ("perl ", re.compile(r"perl\b[^\n]{0,300}?\s-\w*i")),
    ("ruby ", re.compile(r"ruby\b[^\n]{0,300}?\s-\w*i")),
    ("tee ", re.compile(r"tee\s+[^\s\0]")),
    ("git ", re.compile(r"git\s+(?:apply|am|checkout|revert|restore|stash|mv|rm|cherry-pick)\b")),
    ("str_replace", None),
    ("<function=", re.compile(r"<function=\w*(?:edit|create|insert|write|replace|patch|append)")),
    ("<parameter=command>", re.compile(r"<parameter=command>\s*(?:create|insert|str_replace|append|write|undo_edit)")),
    ("*** Begin Patch", None),
    (" SEARCH", re.compile(r"<{5,9} SEARCH")),
    ("open(", re.compile(r"open\([^)\n]{0,300}['\"][wa]b?\+?['\"]")),
    (".write", re.compile(r"\.write(?:lines|_text|_bytes)?\(")),
    ("writeFile", None),
    *((f"\n{command} ", None) for command in ("edit", "insert", "create", "append", "cp", "mv", "ed", "ex", "patch")),
)
_REDIRECTED = re.compile(
    r"\b(?:echo|printf|cat|python3?|git\s+(?:diff|show)|jq|head|tail|grep|awk|sort)\b[^\n]{0,300}?"
    r">{1,2}\s*(?!&|/dev/null)[\w./~$\"']"
)


def edits(said: str) -> bool:
    """Whether the agent ever wrote a file, by any of the known ways; lenient, for it decides whether a run is used."""
    for mark, pattern in _FORMS:
        if mark in said and (pattern is None or pattern.search(said)):
            return True
    return ">" in said and any(">" in line and _REDIRECTED.search(line) for line in said.split("\n"))


def said_by_agent(messages: Sequence[Message]) -> str:
    """What the agent said, as one text with `BETWEEN` between its messages."""
    if isinstance(messages, MessagesInArrow):
        return messages.said
    return BETWEEN.join(message["content"] for message in messages if message["role"] == "assistant")


def checked_patch(patch: str | None, messages: Sequence[Message], said: str, resolved: bool | None) -> str | None:
    """The patch in git's own line ends, or None where it is not known.

    Raises:
        Unusable: it is no diff, or the run never names a file that it touches.
    """
    if patch is None or (resolved and not patch.strip()):
        return None  # a run that solved its task changed something: the empty patch was only not recorded
    patch = normal_patch(patch)
    if not patch.strip():
        return ""
    if not is_diff(patch):
        raise Unusable("patch is not a diff")
    paths = patch_paths(patch)
    # Whoever edits a file names it: most runs need no look at what their commands printed.
    if paths and not mentions([said], paths) and not mentions((one["content"] for one in messages), paths):
        raise Unusable("patch of another repository")
    return patch
