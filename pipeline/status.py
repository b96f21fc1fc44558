"""Where a build stands, read from its folders alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contextrl_data.pipeline.build import BuildFolder, builds, find_build
from contextrl_data.pipeline.calls import Spent, summed
from contextrl_data.pipeline.counters import clock

MARKS = {"done": "✓", "failures": "!", "stopped": "▸", "waiting": " "}


def show_status(root: Path, wanted: str | None, console: Console) -> None:
    """Print the stages of one build, and the names of the others."""
    build = find_build(root, wanted)
    console.print(Text(str(build.path), style="bold"), soft_wrap=True)
    console.print(status_table(build))
    spent = summed(build.calls())
    if spent:
        console.print()
        console.print(spent_table(spent))
    for stage, boundary, message in first_failures(build):
        console.print(Text(f"{stage}, {boundary}: {message}", style="red"), soft_wrap=True)
    others = [other.path.name for other in builds(build.path.parent) if other.path != build.path]
    if others:
        console.print(Text(f"other builds: {', '.join(others)}", style="dim"), soft_wrap=True)


def status_table(build: BuildFolder) -> Table:
    """One line per stage."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("stage", "in", "kept", "out", "dropped", "failed", "time"):
        told = name in ("dropped", "failed")
        table.add_column(name, justify="left" if told or name == "stage" else "right", no_wrap=not told)
    for row in build.funnel():
        begun = row.state != "waiting"
        saved = row.notes.get("journalled") if row.state == "stopped" else None
        table.add_row(
            f"{MARKS['failures' if row.state == 'done' and row.failed else row.state]} {row.stage}",
            f"{row.rows_in:,}" if begun else "",
            f"{row.kept:,}" if begun else "",
            f"{row.rows_out:,}" if begun else "",
            Text(", ".join(f"{n:,} {why}" for why, n in row.dropped.items()), style="yellow"),
            Text(", ".join(f"{n:,} {why}" for why, n in row.failed.items()), style="red"),
            f"{saved:,} rows saved" if saved else clock(row.seconds) if row.state == "done" else "",
        )
    return table


def spent_table(spent: Sequence[Spent]) -> Table:
    """One line per stage and model, and one for all of them: calls, tokens, dollars."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("calls of", "model", "calls", "failed", "tokens in", "tokens out", "dollars", "time in calls"):
        table.add_column(name, justify="left" if name in ("calls of", "model") else "right")
    for one in spent:
        table.add_row(one.stage, one.model, *_figures(one))
    if len(spent) > 1:
        numbers = ("calls", "failed", "prompt_tokens", "completion_tokens", "dollars", "unpriced", "seconds")
        total = {name: sum(getattr(one, name) for one in spent) for name in numbers}
        table.add_row("all", "", *_figures(Spent(stage="", model="", **total)), style="bold")
    return table


def _figures(one: Spent) -> list[str]:
    dollars = f"{one.dollars:,.4f}"
    if one.unpriced:
        dollars = f"{dollars if one.dollars else '?'} ({one.unpriced:,} calls without a known price)"
    return [
        f"{one.calls:,}",
        f"{one.failed:,}" if one.failed else "",
        f"{one.prompt_tokens:,}",
        f"{one.completion_tokens:,}",
        dollars,
        clock(one.seconds),
    ]


def first_failures(build: BuildFolder) -> list[tuple[str, str, str]]:
    """Stage, boundary and message of one failed row for each of them: the others mostly say the same."""
    found: dict[tuple[str, str], str] = {}
    for stage, _ in build.stages:
        for path in sorted(build.stage_folder(stage).path.glob("ledger-*.parquet")):
            table = pq.read_table(path, columns=["reason", "message"], filters=[("status", "=", "failed")])
            for row in table.to_pylist():
                found.setdefault((stage, row["reason"]), row["message"])
    return [(stage, boundary, message) for (stage, boundary), message in found.items()]
