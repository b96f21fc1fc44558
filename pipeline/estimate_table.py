"""An estimate as a person reads it, and as a program does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contextrl_data.pipeline.estimate import Estimate, StageEstimate
from contextrl_data.pipeline.former import ENOUGH_ROWS

MARKS = {"reused": "✓", "begun": "▸", "to do": " "}
COLUMNS = ("stage", "in", "out", "done", "containers", "calls", "dollars", "disk", "yield from")


def show_estimate(found: Estimate, console: Console) -> None:
    """Print one line a stage, the sums of what is left, and every assumption."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("stage", "yield from") else "right", no_wrap=True)
    for one in found.stages:
        table.add_row(*_cells(one), style="dim" if one.state == "reused" else None)
    console.print(table)
    console.print()
    for line in summary(found):
        console.print(Text(line), soft_wrap=True)
    told = [f"{one.stage}: {line}" for one in found.stages for line in one.told]
    for line in dict.fromkeys([*told, *found.notes]):
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)


def _cells(one: StageEstimate) -> list[str]:
    return [
        f"{MARKS[one.state]} {one.stage}",
        _number(one.rows_in),
        _number(one.rows_out),
        "all" if one.state == "reused" else _number(one.rows_done) if one.rows_done else "",
        _number(one.containers) if one.containers else "",
        _number(one.calls) if one.calls else "",
        _dollars(one) if one.calls else "",
        "" if one.state == "reused" else "?" if one.disk_bytes is None else size(one.disk_bytes),
        one.basis,
    ]


def summary(found: Estimate) -> list[str]:
    """What is left to do, in a few lines."""
    reused = sum(one.state == "reused" for one in found.stages)
    if reused == len(found.stages):
        return [f"all {reused} stages are finished and will be reused: 0 containers, 0 calls, $0"]
    lines = [f"{reused} of {len(found.stages)} stages are finished and will be reused"] if reused else []
    left = f"to do: {_number(found.containers)} containers, {_number(found.calls)} calls of models"
    unknown = [one.model for one in found.stages if one.dollars is None]
    priced = f"${found.dollars:,.2f}" + (f" and the calls of {', '.join(unknown)}, of unknown price" if unknown else "")
    bounds = [one for one in found.stages if one.most_dollars is not None and one.calls]
    caps = "".join(f", {one.stage} at most ${one.most_dollars:,.2f} by the config" for one in bounds)
    lines.append(f"{left}, {priced}{caps}")
    docker = sum(one.docker_bytes for one in found.stages)
    images = f", and at most {size(docker)} of images for Docker" if docker else ""
    lines.append(f"disk: {size(found.disk_bytes)} below the runs' folder{images}")
    if found.former:
        lines.append(f"yields of former runs below this root: {', '.join(found.former)}")
    kinds = {one.basis for one in found.stages}
    if "shipped" in kinds:
        why = f"fewer than {ENOUGH_ROWS} rows of former runs" if found.former else "no former run below this root"
        lines.append(f"shipped yields ({why}): measured once, by other settings; see docs/costs.md")
    return lines


def as_json(found: Estimate) -> dict[str, Any]:
    """The estimate for a program: rows, bytes and dollars as plain numbers."""
    sums = {
        "containers": found.containers,
        "calls": found.calls,
        "dollars": None if any(one.dollars is None for one in found.stages) else found.dollars,
        "disk_bytes": found.disk_bytes,
        "docker_bytes": sum(one.docker_bytes for one in found.stages),
    }
    return {
        "stages": [asdict(one) for one in found.stages],
        "to_do": sums,
        "former": found.former,
        "notes": found.notes,
    }


def _number(value: float) -> str:
    return f"{round(value):,}"


def _dollars(one: StageEstimate) -> str:
    return "?" if one.dollars is None else f"{one.dollars:,.2f}"


def size(value: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
