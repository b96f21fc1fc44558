"""Row failures that are the task's or the sandbox's own, told apart from Docker's."""

from __future__ import annotations

from contextrl_data.pipeline.errors import RowFailure


class UnusableTask(RowFailure):
    """The task itself is at fault (its image, its patch), not the surroundings: trying again would not help.

    A stage may return `Drop(error.reason)`: `reason` is a short fixed phrase.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__("task", f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[UnusableTask], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


class SandboxOver(RowFailure):
    """A command was sent to a sandbox that had been closed, ran out of time or flooded its output."""
