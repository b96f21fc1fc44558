"""What of a run becomes a placeholder before any region is masked: edits, diffs, the submission, the issue."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from contextrl_data.stages.coding.edit_commands import find_edits
from contextrl_data.stages.lexical import fold

EDIT, DIFF, SUBMISSION, ISSUE = "<EDIT_MASKED>", "<DIFF_MASKED>", "<SUBMISSION_MASKED>", "<ISSUE_MASKED>"
_QUOTED_CHARS = 30

Part = tuple[str, bool | None]
"""A stretch of a message, and whether it is code; None where nothing is to be masked."""

_ISSUE_TAGS = re.compile(
    r"(<(pr_description|issue|problem_statement|issue_description|task_description|github_issue)>).*?(</\2>)", re.DOTALL
)
_ISSUE_WORDS = re.compile(r"(?<=\nISSUE:\n).*?(?=\n+INSTRUCTIONS:)|(?<=^ISSUE:\n).*?(?=\n+INSTRUCTIONS:)", re.DOTALL)
_DIFF_START = re.compile(r"^\s*(?:diff --git |Index: \S|--- \S.*\n\s*\+\+\+ \S|@@ -\d+(?:,\d+)? \+\d+)", re.MULTILINE)
_DIFF_MARKS = ("diff --git ", "Index: ", "@@ -")
_DIFF_LINE = re.compile(
    r"^(?:diff --git |index [0-9a-f]|Index: |=====|--- |\+\+\+ |@@ |[ +\\-]|\s*$|new file|deleted file|old mode|new mode|"
    r"similarity |dissimilarity |rename |copy |Binary files |GIT binary|literal |delta )"
)
_SUBMIT = re.compile(
    r"COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT|MINI_SWE_AGENT_FINAL_OUTPUT|<function=(?:submit|finish)>|^\s*submit\s*$",
    re.MULTILINE,
)


def parts_of(messages: Sequence[Mapping[str, Any]], issue: str, files: Collection[str]) -> list[list[Part]]:
    """The parts of every message of a run, with the issue, every edit, every diff and the submission masked.

    `files` are the paths that the answers change.
    """
    task = next((index for index, message in enumerate(messages) if message["role"] == "user"), None)
    roles = [str(message["role"]) for message in messages]
    contents: list[str] = []
    said = ""
    for index, message in enumerate(messages):
        content = str(message["content"] or "")
        if index == task:
            content = mask_issue(content, issue)
        elif roles[index] == "assistant":
            said = content
            content = mask_diffs(mask_edits(content, files), DIFF)
        elif roles[index] != "system":
            # The agent may have printed anything behind its submission; whatever is there counts as one.
            submitted = index >= len(messages) - 2 and _SUBMIT.search(said)
            content = SUBMISSION if submitted else mask_diffs(content, DIFF)
        contents.append(content)
    spoken = [index for index, role in enumerate(roles) if role == "assistant"]
    for quotation in _quotations(issue, "\n".join(contents[index] for index in spoken)):
        for index in spoken:
            contents[index] = contents[index].replace(quotation, ISSUE)
    return [
        # The task is prose that somebody wrote; what commands print is code, or is laid out like code.
        _spoken(content) if index == task or role == "assistant" else [(content, None if role == "system" else True)]
        for index, (role, content) in enumerate(zip(roles, contents, strict=True))
    ]


def _quotations(issue: str, spoken: str) -> list[str]:
    """What an agent repeats of the issue word for word; what the code itself prints is evidence and stays."""
    parts = (part for part in re.split(r"\n|(?<=[.!?]) ", issue) if len(fold(part)) >= _QUOTED_CHARS)
    # One that holds a bracket may begin or end inside a placeholder that another one leaves.
    return [part for part in parts if part in spoken or "<" in part or ">" in part]


def _spoken(content: str) -> list[Part]:
    """Prose, of which quotations are cut out, and its fenced blocks, where whole lines are masked as in any code.

    Parts in turn: prose, the line of an opening fence, code, the line of a closing one.
    """
    parts: list[Part] = []
    position, place = 0, content.find("```")
    while place >= 0:
        start, end = content.rfind("\n", 0, place) + 1, content.find("\n", place)
        end = end if end >= 0 else len(content)
        if not content[start:place].strip(" \t"):
            parts += [(content[position:start], len(parts) % 4 > 0), (content[start:end], None)]
            position = end
        place = content.find("```", end)
    return [*parts, (content[position:], len(parts) % 4 > 0)]


def mask_edits(content: str, files: Collection[str]) -> str:
    """Every command or block that writes a source file becomes one placeholder."""
    shown: list[str] = []
    position = 0
    for edit in find_edits(content, files):
        between = content[position : edit.start]
        # The body of a heredoc follows its command line: one placeholder for the two.
        if not (shown and shown[-1] == EDIT and not between.strip()):
            shown.extend([between, EDIT])
        position = edit.end
    tail = content[position:]
    # A heredoc's span ends behind its last line end, which the closing fence needs.
    joint = "\n" if shown and position and content[position - 1] == "\n" and not tail.startswith("\n") else ""
    return "".join(shown) + joint + tail


def mask_diffs(content: str, placeholder: str) -> str:
    """Every stretch of a unified diff becomes one placeholder."""
    if not any(mark in content for mark in _DIFF_MARKS) and not ("--- " in content and "+++ " in content):
        return content
    shown: list[str] = []
    position = 0
    while found := _DIFF_START.search(content, position):
        start = found.start() + len(found.group()) - len(found.group().lstrip("\n"))
        shown.extend([content[position:start], placeholder, "\n"])
        position = start
        first = True
        while position < len(content):
            end = content.find("\n", position)
            end = len(content) if end < 0 else end + 1
            if not first and not _DIFF_LINE.match(content[position:end]):
                break
            position, first = end, False
    return "".join([*shown, content[position:]])


def mask_issue(content: str, issue: str) -> str:
    """The task message with its instructions kept and the issue masked; all of it masked where no issue is found."""
    if issue.strip() and issue.strip() in content:
        return content.replace(issue.strip(), ISSUE)
    for pattern, replacement in ((_ISSUE_TAGS, rf"\1\n{ISSUE}\n\3"), (_ISSUE_WORDS, ISSUE)):
        replaced, count = pattern.subn(replacement, content)
        if count:
            return replaced
    if issue.strip() and fold(issue) in fold(content):
        places = [place for place, char in enumerate(content) if not char.isspace()]
        start = fold(content).index(fold(issue))
        return content[: places[start]] + ISSUE + content[places[start + len(fold(issue)) - 1] + 1 :]
    return ISSUE
