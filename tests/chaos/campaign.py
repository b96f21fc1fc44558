"""Draws faults until there are enough, disturbs builds with them, resumes, and looks at what came out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from chaos.compare import differences, left_over, wrong_labels
from chaos.episode import Episode
from chaos.faults import Fault
from chaos.faults.clock_jumps import ClockJumps
from chaos.faults.container_killed import ContainerKilled
from chaos.faults.daemon_killed import DaemonKilled
from chaos.faults.disk_full import DiskFull, unmount
from chaos.faults.main_killed import MainKilled
from chaos.faults.model_fails import ModelFails
from chaos.faults.worker_killed import WorkerKilled
from chaos.world import World

RESUMES = 3
"""A resume may need a second run at most where a fault's end is not sharp (a daemon that is still clearing up)."""


def kinds() -> list[Fault]:
    """Every kind of fault on builds, in the order of the table."""
    servers: list[Fault] = [ModelFails(model="agent"), ModelFails(model="judge")]
    return [MainKilled(), WorkerKilled(), DaemonKilled(), ContainerKilled(), DiskFull(), ClockJumps(), *servers]


@dataclass
class Line:
    """One kind of fault on one build."""

    fault: str
    build: str
    faults: int = 0
    datasets: int = 0
    identical: int = 0
    leaks: int = 0
    wrong: int = 0
    dishonest: int = 0
    seconds: float = 0.0
    skipped: str = ""
    told: list[str] = field(default_factory=list)

    @property
    def missed(self) -> bool:
        """Whether anything is not as it must be."""
        return bool(self.datasets - self.identical or self.leaks or self.wrong or self.dishonest)


def run_episode(world: World, fault: Fault, build: str, line: Line, draw: Random, most: int, number: int) -> None:
    """One build: disturbed at most so many times, resumed, compared."""
    cut = draw.choice(fault.cuts(world, build))
    shutil.rmtree(world.folder / f"episode-{number:04}", ignore_errors=True)
    episode = Episode(world.builds[build], world.folder / f"episode-{number:04}", cut)
    before = world.holdings()
    try:
        fault.strike(world, episode, draw, most)
        wrong = wrong_labels(episode)
        episode.environ.clear()
        code = episode.finish(episode.start())
        if code:
            episode.dishonest.append(f"the resume ended with {code}")
        other = differences(episode.build, episode.runs)
        left = left_over(episode, before, world.holdings())
    finally:
        unmount(episode.folder)
    line.faults += episode.struck
    line.datasets += 1
    line.identical += not other
    line.leaks += len(left)
    line.wrong += len(wrong)
    line.dishonest += len(episode.dishonest)
    found = [*(f"differs: {name}" for name in other[:4]), *left[:4], *wrong[:4], *episode.dishonest[:4]]
    line.told += [f"{episode.mark} from {cut}: {one}" for one in found]
    shutil.rmtree(episode.folder)
    if not found:
        episode.log.unlink()


def lines_for(world: World) -> list[tuple[Fault, str, Line]]:
    """Every kind of fault on every build that it can strike here."""
    found = []
    for fault in kinds():
        lacking = fault.lacking(world)
        for build in fault.builds:
            line = Line(fault.name, build, skipped=lacking or ("" if build in world.builds else world.lacking))
            found.append((fault, build, line))
    return found


def run(world: World, faults: int, seed: int, most: int, say: Callable[[str], None]) -> list[Line]:
    """Strike until so many faults are counted; the kinds take turns, and every one of them comes."""
    rows = lines_for(world)
    able = [row for row in rows if not row[2].skipped]
    number = 0
    while sum(line.faults for *_, line in able) < faults or any(not line.faults for *_, line in able):
        fault, build, line = min(able, key=lambda row: row[2].faults)
        draw = Random(f"{seed} {number}")
        before = len(line.told)
        run_episode(world, fault, build, line, draw, draw.randint(1, most), number)
        number += 1
        for told in line.told[before:]:
            say(f"MISS {line.fault} on {build}: {told}")
        say(f"{sum(row[2].faults for row in able)} faults, {number} builds resumed: {line.fault} on {build}")
        if number > 40 + faults * 3:
            break
    return [line for *_, line in rows]


def table(lines: Sequence[Line]) -> str:
    """The result, as it goes into docs/reliability.md."""
    head = ("fault", "build", "faults", "datasets", "identical", "leaks", "wrong labels", "dishonest ends")
    rows = [
        (line.fault, line.build, line.skipped and "left out", "", "", "", "", "")
        if line.skipped
        else (
            line.fault,
            line.build,
            *map(str, (line.faults, line.datasets, line.identical, line.leaks, line.wrong, line.dishonest)),
        )
        for line in lines
    ]
    sums = [
        sum(getattr(line, name) for line in lines)
        for name in ("faults", "datasets", "identical", "leaks", "wrong", "dishonest")
    ]
    rows.append(("all", "", *map(str, sums)))
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    )
