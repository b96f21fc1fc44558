"""The wall clock jumps by hours, days and years, forwards and back, while a build runs.

With libfaketime every process of the build, C libraries included, sees the other time; without it Python's `time.time`
alone is shifted, in every Python process. Clocks inside containers are the machine's, and stay.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chaos.episode import Episode
from chaos.faults import Fault
from chaos.world import World

JUMPS = (-400 * 86400, -86400, -3600, -2, 3600, 86400, 400 * 86400)
SLEEP = """\
import select, time
def _sleep(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)
time.sleep = _sleep
"""
"""libfaketime 0.9.10 refuses every sleep by a clock that it leaves alone (EINVAL), and a wait for an event by one that it
moves never ends: Python sleeps by another call."""
HOOK = """\
import time
_place, _real = {place!r}, time.time
def _shift():
    with open(_place) as file:
        return float(file.read().strip().lstrip("+") or 0)
time.time = lambda: _real() + _shift()
time.time_ns = lambda: int(time.time() * 1e9)
"""


def library() -> Path | None:
    """libfaketime, where Debian's package puts it."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@dataclass(frozen=True)
class ClockJumps(Fault):
    """Each jump is a fault."""

    @property
    def name(self) -> str:
        """Says how the clock is moved."""
        return "clock jump (libfaketime)" if library() else "clock jump (time.time)"

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        episode.fill()
        shift = episode.folder / "clock"
        _write(shift, 0)
        episode.environ |= self._environ(episode, shift)
        process = episode.start()
        while episode.struck < most and episode.moment(process, draw):
            _write(shift, draw.choice(JUMPS) * draw.uniform(0.5, 1))
            episode.struck += 1
        episode.finish(process)

    @staticmethod
    def _environ(episode: Episode, shift: Path) -> dict[str, str]:
        hooks = episode.folder / "hook"
        hooks.mkdir()
        path = {"PYTHONPATH": os.pathsep.join([str(hooks), os.environ.get("PYTHONPATH", "")])}
        found = library()
        (hooks / "sitecustomize.py").write_text(SLEEP if found else HOOK.format(place=str(shift)))
        if found:
            return path | {
                "LD_PRELOAD": str(found),
                "FAKETIME_TIMESTAMP_FILE": str(shift),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",
            }
        return path


def _write(path: Path, seconds: float) -> None:
    part = path.with_suffix(".new")
    part.write_text(f"{seconds:+.3f}\n")
    part.replace(path)
