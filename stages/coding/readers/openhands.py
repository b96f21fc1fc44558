"""OpenHands runs as SWE-Gym and SWE-rebench publish them: chat messages with tool calls, the diff beside them."""

from __future__ import annotations

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.found import Found, mapping_of, patch_of, text_of, truth_of
from contextrl_data.stages.coding.readers.messages import normal_messages

NAME = "openhands"
_MARKS = {"run_id", "test_result", "tools", "trajectory_id", "git_patch"}
_PATCHES = ("git_patch", "model_patch", "patch")


def matches(columns: frozenset[str]) -> bool:
    """Whether rows with these columns are this format."""
    return bool({"messages", "trajectory"} & columns) and bool(_MARKS & columns)


def read(raw: Row, max_chars: int) -> Found:
    """One run. `run_id` begins with the model's name in SWE-Gym's sets."""
    tested = mapping_of(raw.get("test_result"))
    run_id = text_of(raw.get("run_id"))
    patch = next((raw[name] for name in _PATCHES if raw.get(name) is not None), tested.get("git_patch"))
    instance_id = text_of(raw.get("instance_id"))
    own = text_of(raw.get("trajectory_id")) or (f"{instance_id}.{run_id}" if run_id and instance_id else "")
    return Found(
        messages=normal_messages(raw["messages"] if "messages" in raw else raw.get("trajectory"), max_chars),
        instance_id=instance_id,
        traj_id=own,
        patch=patch_of(patch),
        resolved=truth_of(raw.get("resolved")),
        repo=text_of(raw.get("repo")),
        exit_status=text_of(raw.get("exit_status")) or None,
        model=text_of(raw.get("model")) or run_id.partition("_maxiter")[0],
    )
