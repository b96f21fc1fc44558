"""What holds for a sandbox wherever it runs: its limits, and what a command in it leaves."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.coding.streams import State

KILLED = 128 + 9
"""Exit code of a command that was killed, by itself or with its container."""


class SandboxConfig(StageConfig):
    """Limits of one container."""

    memory: str = Field(default="1g", pattern=r"^[1-9]\d*[bkmgBKMG]?$")
    """Memory limit, swap included; a process that passes it is killed."""
    pids: int = Field(default=256, ge=1)
    """Most processes and threads at once."""
    cpus: float = Field(default=1.0, gt=0)
    """CPU cores that the container may use."""
    output_bytes: int = Field(default=1_000_000, ge=1)
    """Output kept of one command; a command that writes more ends the sandbox."""
    file_bytes: int = Field(default=1 << 30, ge=1)
    """Size of the largest file that can be written."""
    disk_bytes: int = Field(default=4 << 30, ge=1)
    """Most that a container may write to its disk in all; one that writes more ends."""
    open_files: int = Field(default=4096, ge=1)
    """Most open files of one process."""
    ttl_seconds: int = Field(default=1800, ge=1)
    """Life of a container at most, also when the process that started it dies."""
    user: str = ""
    """User that commands run as; empty takes the image's own."""
    image_budget: str | None = Field(default=None, pattern=r"^[1-9]\d*(\.\d+)?[bkmgtBKMGT]?$", exclude=True)
    """Most disk for all images that were built or pulled here, shared layers counted once, such as `100g`: after a pull
    or a build, those used least recently are removed. None removes nothing."""


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code (none unless it ended by itself) and its merged output."""

    exit_code: int | None
    output: str
    state: State
