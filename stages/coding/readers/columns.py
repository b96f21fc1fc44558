"""Any set with a column of chat messages; other columns are taken by the names of the normal form.

This is also the format of the 66k mini-swe-agent-plus runs on SWE-smith (`instance_id` and `messages` alone: the patch
comes from the task set), and of trajectories that this package wrote itself.
"""

from __future__ import annotations

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.found import Found, patch_of, text_of, truth_of
from contextrl_data.stages.coding.readers.messages import normal_messages

NAME = "messages"


def matches(columns: frozenset[str]) -> bool:
    """Whether rows with these columns are this format."""
    return "messages" in columns


def read(raw: Row, max_chars: int) -> Found:
    """One run, of which only the messages need to be there."""
    attempt = raw.get("attempt")
    return Found(
        messages=normal_messages(raw.get("messages"), max_chars),
        instance_id=text_of(raw.get("instance_id")),
        traj_id=text_of(raw.get("traj_id")) or text_of(raw.get("id")),
        patch=patch_of(raw.get("patch")),
        resolved=truth_of(raw.get("resolved")),
        repo=text_of(raw.get("repo")),
        commit=text_of(raw.get("commit")) or text_of(raw.get("base_commit")),
        problem_statement=text_of(raw.get("problem_statement")),
        exit_status=text_of(raw.get("exit_status")) or None,
        model=text_of(raw.get("model")),
        attempt=attempt if isinstance(attempt, int) and abs(attempt) < 2**31 else None,
        source=text_of(raw.get("source")),
        licence=text_of(raw.get("licence")) or text_of(raw.get("license")),
    )
