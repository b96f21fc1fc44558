"""Draws faults until there are enough, and adds up what came of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from chaos.faults import Fault
from chaos.faults.clock_jumps import ClockJumps
from chaos.faults.container_killed import ContainerKilled
from chaos.faults.daemon_killed import DaemonKilled
from chaos.faults.disk_full import DiskFull
from chaos.faults.hub_fails import PublishingFails, ReadingFails
from chaos.faults.main_killed import MainKilled
from chaos.faults.model_fails import ModelFails
from chaos.faults.worker_killed import WorkerKilled
from chaos.world import World

KINDS: tuple[Fault, ...] = (
    MainKilled(),
    WorkerKilled(),
    DaemonKilled(),
    ContainerKilled(),
    DiskFull(),
    ClockJumps(),
    ModelFails(model="agent"),
    ModelFails(model="judge"),
    PublishingFails(),
    ReadingFails(),
)
LANES = ("coding", "images", "servers")
"""See `Fault.lane`."""
COUNTS = ("faults", "datasets", "identical", "leaks", "wrong", "dishonest")


@dataclass
class Line:
    """One kind of fault on one build, as the table has it."""

    fault: str
    build: str
    left_out: str = ""
    """Why this machine cannot have it."""
    faults: int = 0
    datasets: int = 0
    identical: int = 0
    leaks: int = 0
    wrong: int = 0
    dishonest: int = 0
    seconds: float = 0.0
    told: list[str] = field(default_factory=list)
    """Everything that is not as it must be."""


def lines_of(world: World, wanted: Sequence[str]) -> list[tuple[Fault, Line]]:
    """Every kind of fault on every wanted build."""
    pairs = [(fault, build) for fault in KINDS for build in fault.builds if build in wanted]
    return [(fault, Line(fault.name, build, fault.lacking(world, build))) for fault, build in pairs]


def run_lane(
    world: World,
    rows: Sequence[tuple[Fault, Line]],
    enough: Callable[[], bool],
    seed: str,
    most: int,
    say: Callable[[str], None],
) -> None:
    """Strike until it is enough, and each kind came at least once; each gets as much time as the others."""
    able = [row for row in rows if not row[1].left_out]
    number = 0
    while able and (not enough() or any(not line.datasets for _, line in able)):
        fault, line = min(able, key=lambda row: (row[1].datasets > 0, row[1].seconds))
        draw = Random(f"{seed} {number}")
        folder = world.folder / f"{seed}-{number:03}".replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)
        started = time.monotonic()
        try:
            outcome = fault.episode(world, line.build, folder, draw, draw.randint(1, most))
        except Exception as error:  # of the campaign itself: the other lanes go on, and it is told in the end
            line.told.append(f"{line.fault} on {line.build}, {folder.name}: the campaign failed: {error!r}")
            say(f"MISS {line.told[-1]}")
            return
        number += 1
        line.seconds += time.monotonic() - started
        line.faults += outcome.faults
        line.datasets += 1
        line.identical += not outcome.different
        line.leaks += len(outcome.left)
        line.wrong += len(outcome.wrong)
        line.dishonest += len(outcome.dishonest)
        told = [f"{line.fault} on {line.build}, {folder.name}: {one}" for one in outcome.told()]
        line.told += told
        for one in told:
            say(f"MISS {one}")
        if not told:
            folder.with_suffix(".log").unlink(missing_ok=True)
        say(f"{folder.name}: {outcome.faults} x {line.fault} on {line.build}")


def table(lines: Sequence[Line]) -> str:
    """The result, as it goes into docs/reliability.md."""
    head = ("fault", "build", "faults", "builds resumed", "identical", "leaks", "wrong labels", "dishonest ends")
    rows = [head, tuple("---" for _ in head)]
    for line in lines:
        counts = ["left out", *[""] * 5] if line.left_out else [str(getattr(line, name)) for name in COUNTS]
        rows.append((line.fault, line.build, *counts))
    rows.append(("all", "", *(str(sum(getattr(line, name) for line in lines)) for name in COUNTS)))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
