"""What a reader found in one raw row. Nothing is assumed: what a source does not say stays empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Message = dict[str, str]
"""`role` and `content`, see `contextrl_data.stages.rows.MESSAGE`."""

BETWEEN = "\n\0"
"""What stands between two messages where they are looked at as one text: no pattern that is looked for crosses it."""


class Unusable(Exception):
    """This row cannot become a trajectory. `reason` is a fixed phrase: it is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Found:
    """One run, before ids are made unique and before the checks that need no format."""

    messages: Sequence[Message]
    instance_id: str = ""
    traj_id: str = ""
    """The source's own name of the run, "" where it has none."""
    patch: str | None = None
    resolved: bool | None = None
    repo: str = ""
    commit: str = ""
    problem_statement: str = ""
    exit_status: str | None = None
    model: str = ""
    attempt: int | None = None
    source: str = ""
    licence: str = ""


def text_of(value: Any) -> str:
    """A scalar column as text; "" for what is missing or no scalar."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def patch_of(value: Any) -> str | None:
    """A patch column: text, or None where it is not known."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unusable("patch is not text")
    return value


def truth_of(value: Any) -> bool | None:
    """A label: only what clearly says yes or no. Some sets write 0 and 1, some -1 for unknown."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        return {"true": True, "resolved": True, "false": False, "unresolved": False}.get(value.strip().lower())
    return None


def mapping_of(value: Any) -> dict[str, Any]:
    """A nested column, empty where it is missing or of another kind."""
    return value if isinstance(value, dict) else {}
