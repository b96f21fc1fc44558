"""What a person sees while a build runs: a live table on a terminal, plain lines in a log file."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from contextrl_data.pipeline.counters import StageProgress, clock
from contextrl_data.pipeline.manifest import Manifest

PLAIN_EVERY = 15.0
"""Seconds between two lines of one stage where there is no terminal."""


class Progress:
    """Base: keeps the counters, shows nothing."""

    def __init__(self) -> None:
        self.stages: list[StageProgress] = []

    def begin(self, name: str, total: int | None) -> StageProgress:
        """A stage starts; `total` input rows, None where that is not known."""
        self.stages.append(StageProgress(name, total))
        self.refresh(force=True)
        return self.stages[-1]

    def end(self, stage: StageProgress, manifest: Manifest, reused: bool = False) -> None:
        """A stage has its manifest, made now or found."""
        stage.state = "reused" if reused else "done"
        stage.kept, stage.cost, stage.rows_out = manifest.kept, manifest.cost, manifest.rows_out
        stage.dropped, stage.failed = Counter(manifest.dropped), Counter(manifest.failed)
        stage.seconds = manifest.seconds
        self.refresh(force=True)

    def note(self, line: str) -> None:
        """One line worth reading now."""

    def refresh(self, force: bool = False) -> None:
        """Show the counters, if it is time."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def _counts(counter: Counter[str], most: int = 3) -> str:
    parts = [f"{count:,} {reason}" for reason, count in counter.most_common(most)]
    rest = counter.total() - sum(count for _, count in counter.most_common(most))
    return ", ".join([*parts, f"{rest:,} other"] if rest else parts)


class PlainProgress(Progress):
    """One line when a stage starts, one when it ends, and one now and then between."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self._last = 0.0
        self._shown: set[tuple[str, str]] = set()

    def note(self, line: str) -> None:
        self.console.print(Text(f"  {line}"), soft_wrap=True)

    def refresh(self, force: bool = False) -> None:
        now = time.monotonic()
        if not self.stages or (not force and now - self._last < PLAIN_EVERY):
            return
        self._last = now
        stage = self.stages[-1]
        if (stage.name, stage.state) in self._shown and force:
            return
        self._shown.add((stage.name, stage.state))
        self.console.print(Text(self._line(stage)), soft_wrap=True)

    @staticmethod
    def _line(stage: StageProgress) -> str:
        if stage.state == "running" and not stage.done and stage.step is not None:
            left = f"{eta} left" if (eta := stage.step.eta()) else ""
            return ", ".join(filter(None, [f"{stage.name}: {stage.step}", stage.step.pace(), left]))
        if stage.state == "running" and not stage.done:
            return f"{stage.name}: {'' if stage.total is None else f'{stage.total:,} rows'}".rstrip(": ")
        of = f"/{stage.total:,}" if stage.total is not None and stage.state == "running" else ""
        line = f"{stage.name}: {stage.done:,}{of} in, {stage.kept:,} kept"
        if stage.rows_out is not None and stage.rows_out != stage.kept:
            line += f" ({stage.rows_out:,} rows out)"
        if stage.dropped:
            line += f", dropped {_counts(stage.dropped)}"
        if stage.failed:
            line += f", FAILED {_counts(stage.failed)}"
        if stage.cost:
            line += f", ${stage.cost:.2f}"
        if stage.state == "running":
            return f"{line}, {stage.rate():.1f}/s, {stage.eta()} left"
        return f"{line} [{'already done' if stage.state == 'reused' else clock(stage.elapsed)}]"


class LiveProgress(Progress):
    """A table that updates in place."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4, transient=False)

    def note(self, line: str) -> None:
        self.console.print(Text(line))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("stage", "in", "kept", "out", "dropped", "failed", "rate", "time", "left"):
            table.add_column(name, justify="left" if name in ("stage", "dropped", "failed") else "right")
        if any(stage.cost for stage in self.stages):
            table.add_column("cost", justify="right")
        for stage in self.stages:
            table.add_row(*self._cells(stage), style="dim" if stage.state == "reused" else None)
        return table

    @staticmethod
    def _cells(stage: StageProgress) -> list[str | Text]:
        mark = {"running": "▸", "done": "✓", "reused": "·"}[stage.state]
        total = f"/{stage.total:,}" if stage.total is not None and stage.state == "running" else ""
        step = stage.step if stage.state == "running" and not stage.done else None
        if step is not None:
            return [
                f"{mark} {stage.name}",
                str(step),
                *[""] * 4,
                step.pace(),
                clock(stage.elapsed),
                step.eta(),
            ]
        cells: list[str | Text] = [
            f"{mark} {stage.name}",
            f"{stage.done:,}{total}",
            f"{stage.kept:,}",
            "" if stage.rows_out is None else f"{stage.rows_out:,}",
            Text(_counts(stage.dropped, 2), style="yellow"),
            Text(_counts(stage.failed, 2), style="red"),
            f"{stage.rate():.1f}/s" if stage.state == "running" and stage.done > stage.resumed else "",
            "" if stage.state == "reused" else clock(stage.elapsed),
            stage.eta(),
        ]
        return [*cells, f"${stage.cost:.2f}"] if stage.cost else cells

    def __enter__(self) -> Progress:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.refresh()
        self._live.stop()


def progress_for(console: Console) -> Progress:
    """A live table on a terminal, plain lines elsewhere."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)
