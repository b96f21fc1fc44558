"""What an instance id and a first message say: repository, commit, attempt, issue text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contextrl_data.stages.coding.readers.found import Message, Unusable

_SMITH = re.compile(r"^(?:swesmith/)?([\w.-]+?)__([\w.-]+)\.([0-9a-f]{7,40})(?:\.|$)")
_ISSUE = re.compile(r"^(?:swebench/)?([\w.-]+?)__([\w.-]+?)-(\d+)(?:_(\d+))?$")
_STATEMENT = (
    *((f"<{tag}>", f"</{tag}>") for tag in ("pr_description", "issue", "problem_statement", "issue_description")),
    ("<github_issue>", "</github_issue>"),
    ("ISSUE:\n", "\nINSTRUCTIONS:"),
)
"""What frameworks put around the issue, in their prompts."""
LONGEST_ID = 200
_LEAD = re.compile(r"^\s*(?:Consider the following PR description:)?\s*")


def split_instance(instance_id: str) -> tuple[str, str, str, int | None]:
    """Instance id without a run number, repository, commit, and the run number.

    Raises:
        Unusable: no id is that long.

    >>> split_instance("oauthlib__oauthlib.1fd52536.combine_file__otc4vogi")[1:3]
    ('oauthlib/oauthlib', '1fd52536')
    >>> split_instance("python__mypy-15976_3")
    ('python__mypy-15976', 'python/mypy', '', 3)
    """
    if len(instance_id) > LONGEST_ID:
        raise Unusable("instance id is too long")
    smith = _SMITH.match(instance_id)
    if smith:
        return instance_id, f"{smith[1]}/{smith[2]}", smith[3], None
    issue = _ISSUE.match(instance_id)
    if issue:
        attempt = int(issue[4]) if issue[4] and len(issue[4]) < 7 else None
        name = instance_id if attempt is None else instance_id[: issue.start(4) - 1]
        return name, f"{issue[1]}/{issue[2]}", "", attempt
    return instance_id, "", "", None


def problem_statement(messages: Sequence[Message]) -> str:
    """The issue as the run was told it: what the known templates put between their marks, else the first message."""
    for message in messages:
        if message["role"] == "assistant":
            break
        if message["role"] == "user":
            text = message["content"]
            for begin, end in _STATEMENT:
                start = text.find(begin)
                stop = text.find(end, start) if start >= 0 else -1
                if stop >= 0:
                    return _LEAD.sub("", text[start + len(begin) : stop], count=1).strip()
            return text.strip()
    return ""
