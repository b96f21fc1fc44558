"""The counters of a stage while it runs: rows by their fate, and steps inside a stage that sees all rows at once."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from contextrl_data.pipeline.stage import Drop, Fail, Keep, Outcome


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@dataclass
class StepProgress:
    """How far one step inside a stage is."""

    what: str
    done: int
    total: int | None
    started: float = field(default_factory=time.monotonic)
    first: int = 0
    """What was done when it was first heard of."""

    def rate(self) -> float:
        """Things a second."""
        return (self.done - self.first) / max(time.monotonic() - self.started, 1e-6)

    def pace(self) -> str:
        """Things a second, or an empty string before there were two to count."""
        return f"{self.rate():.1f}/s" if self.done > self.first else ""

    def eta(self) -> str:
        """Time left, as m:ss, or an empty string where it is not known."""
        if self.total is None or self.done <= self.first:
            return ""
        return clock(max(self.total - self.done, 0) / max(self.rate(), 1e-6))

    def __str__(self) -> str:
        of = "" if self.total is None else f"/{self.total:,}"
        return f"{self.done:,}{of} {self.what}"


@dataclass
class StageProgress:
    """Counters of one stage while it runs."""

    name: str
    total: int | None
    state: str = "running"
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    cost: float = 0.0
    """Dollars of all calls that were made for it, in this session and before."""
    rows_out: int | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    step: StepProgress | None = None
    """The step at work, of a stage that sees all rows at once."""

    def at(self, what: str, done: int, total: int | None = None) -> None:
        """A step has come so far."""
        if self.step is None or self.step.what != what or done < self.step.done:
            self.step = StepProgress(what, done, total, first=done)
        self.step.done, self.step.total = done, total

    @property
    def done(self) -> int:
        """Input rows with an outcome."""
        return self.kept + self.dropped.total() + self.failed.total()

    @property
    def elapsed(self) -> float:
        """Seconds of work."""
        return self.seconds if self.seconds is not None else time.monotonic() - self.started

    def count(self, outcome: Outcome) -> None:
        """Add one outcome."""
        match outcome:
            case Keep():
                self.kept += 1
            case Drop(reason=reason):
                self.dropped[reason] += 1
            case Fail(boundary=boundary):
                self.failed[boundary] += 1

    def rate(self) -> float:
        """Rows a second of this session (rows found finished do not count)."""
        return (self.done - self.resumed) / max(self.elapsed, 1e-6)

    def eta(self) -> str:
        """Time left, as m:ss, or an empty string where it is not known."""
        if self.total is None or self.state != "running" or self.done == self.resumed:
            return ""
        return clock((self.total - self.done) / max(self.rate(), 1e-6))
