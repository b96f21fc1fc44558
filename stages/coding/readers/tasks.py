"""Patches and issues from a task set, for runs that were published without: joined by instance id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Row, StageConfig
from contextrl_data.stages.coding.readers.diffs import is_diff, normal_patch, reverse_patch
from contextrl_data.stages.coding.readers.found import Unusable, text_of
from contextrl_data.stages.coding.readers.hub import HubFiles
from contextrl_data.stages.coding.readers.rawfiles import raw_rows, trajectory_files


class TasksConfig(StageConfig):
    """A task set to join. SWE-smith's own: `path: SWE-bench/SWE-smith`."""

    path: str
    """File, folder, or name of a data set on the Hub, with the columns `instance_id` and `patch`."""
    revision: str | None = None
    """Branch, tag or commit on the Hub."""
    split: str | None = None
    """Split on the Hub; all files without it."""
    patch: Literal["bug", "fix"] = "bug"
    """What the column `patch` does: SWE-smith's makes the bug, so that the fix is its reverse; SWE-bench's is the fix."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a run takes from its task."""

    patch: str
    problem_statement: str
    repo: str
    commit: str


def files_of(path: str, revision: str | None, split: str | None) -> Iterator[tuple[Path, str]]:
    """Local files below a path, or a data set's on the Hub, each with its name in places."""
    local = Path(path).expanduser()
    if local.exists():
        root = local if local.is_dir() else local.parent
        yield from ((file, file.relative_to(root).as_posix()) for file in trajectory_files(local))
    else:
        yield from HubFiles(path, revision, split).files()


def load_tasks(config: TasksConfig, max_bytes: int) -> dict[str, Task]:
    """Every task with a usable patch, by instance id.

    Raises:
        InputError: no row has the columns.
    """
    tasks: dict[str, Task] = {}
    for path, name in files_of(config.path, config.revision, config.split):
        for _, raw in raw_rows(path, name, alone=True, max_bytes=max_bytes):
            if not isinstance(raw, Unusable) and (task := _task(raw, config.patch)) is not None:
                tasks.setdefault(text_of(raw.get("instance_id")), task)
    if not tasks:
        raise InputError(
            f"{config.path} holds no task with instance_id and patch", "name a SWE-style task set, or leave tasks out"
        )
    return tasks


def _task(raw: Row, kind: str) -> Task | None:
    patch = raw.get("patch")
    if not text_of(raw.get("instance_id")) or not isinstance(patch, str) or not is_diff(patch):
        return None
    patch = normal_patch(patch)
    if kind == "bug":
        try:
            patch = reverse_patch(patch)
        except ValueError:
            return None
    return Task(patch, text_of(raw.get("problem_statement")), text_of(raw.get("repo")), text_of(raw.get("base_commit")))
