"""One build disturbed: a copy of its early stages, the command that goes on from there, and what it left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chaos.compare import differences
from chaos.processes import MARK, left_after
from contextrl_data.pipeline.stage import Map

RUN_SECONDS = 600
"""No run takes so long; one that does hangs, and that is a miss."""


@dataclass
class Build:
    """A build that nobody disturbed, and how to make it again."""

    name: str
    words: list[str]
    """`build coding --config ...`: all but the folder."""
    runs: Path
    """Its finished run."""
    keys: dict[str, str] = field(default_factory=dict)
    """Stage -> key, in order."""
    stages: dict[str, object] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    first: str = ""
    """The earliest stage that an episode may begin with."""
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """`coding` or `images`."""
        return self.name.split("-")[0]

    @property
    def folder(self) -> str:
        """Name of the build's own folder."""
        return f"{self.kind}-{list(self.keys.values())[-1]}"

    def stage_folder(self, stage: str) -> str:
        """Name of a stage's folder."""
        return f"{stage}-{self.keys[stage]}"

    def late(self) -> list[str]:
        """Stages that an episode may begin with."""
        names = list(self.keys)
        return names[names.index(self.first) :]

    def of_work(self, work: str) -> list[str]:
        """Late stages that work in threads (`thread`, around containers and servers) or in processes."""
        maps = {name: stage for name, stage in self.stages.items() if isinstance(stage, Map)}
        return [name for name in self.late() if name in maps and maps[name].work == work]


class Episode:
    """A place for one build: runs, temporary files and a log of what was said."""

    def __init__(self, build: Build, folder: Path, cut: str = "", runs: Path | None = None) -> None:
        self.build, self.folder, self.cut = build, folder, cut
        self.runs, self.tmp, self.log = runs or folder / "runs", folder / "tmp", folder.with_suffix(".log")
        self.mark = folder.name
        self.settings: list[str] = []
        self.environ: dict[str, str] = {}
        self.struck = 0
        self.dishonest: list[str] = []
        """Runs that hung, ended with 0 without the whole dataset, or with a traceback."""
        self.orphans: list[str] = []
        """Processes that outlived their run."""
        folder.mkdir(parents=True)
        self.tmp.mkdir()

    def fill(self) -> None:
        """Copy the stages before the cut."""
        self.tmp.mkdir(exist_ok=True)
        self.runs.mkdir()
        for stage in list(self.build.keys)[: list(self.build.keys).index(self.cut)]:
            name = self.build.stage_folder(stage)
            shutil.copytree(self.build.runs / name, self.runs / name)

    def stages(self) -> list[str]:
        """What is left to do."""
        names = list(self.build.keys)
        return names[names.index(self.cut) :]

    def command(self) -> list[str]:
        """The very same for every run of the episode."""
        sets = [f"run.root={self.runs}", *self.settings]
        if any("openai/judge" in word for word in self.build.words):
            sets.append(f"judge.chat.cache_dir={self.folder}/replies")
        words = [*self.build.words, *(word for one in sets for word in ("--set", one))]
        return [sys.executable, "-m", "contextrl_data.pipeline.cli", *words]

    def start(self) -> subprocess.Popen[bytes]:
        """Begin a run."""
        environ = {**os.environ, **self.build.environ, **self.environ, "TMPDIR": str(self.tmp), MARK: self.mark}
        with self.log.open("ab") as log:
            self._said = log.tell()
            return subprocess.Popen(self.command(), env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def finish(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a run's own end, and look whether its exit code and its words are honest."""
        try:
            code = process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            self.dishonest.append(f"it hung for {RUN_SECONDS} s")
            self.kill(process)
            return -9
        self._see_orphans()
        if b"Traceback (most recent call last)" in self.log.read_bytes()[self._said :]:
            self.dishonest.append(f"a traceback, exit code {code}")
        if code == 0 and (other := differences(self.build, self.runs)):
            self.dishonest.append(f"exit code 0, but {len(other)} files differ: {', '.join(other[:3])}")
        return code

    def kill(self, process: subprocess.Popen[bytes]) -> bool:
        """SIGKILL a run's main process, and it alone; false where it had ended."""
        alive = process.poll() is None
        process.kill()
        process.wait()
        self._see_orphans()
        return alive

    def _see_orphans(self) -> None:
        for pid in left_after(self.mark, 8):
            name = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[-80:]
            self.orphans.append(f"process {name}")
            os.kill(pid, 9)

    def begun(self, stage: str) -> bool:
        """Whether a stage's folder is there; `finish` stands for what follows the last."""
        if stage == "finish":
            last = list(self.build.keys)[-1]
            return (self.runs / self.build.stage_folder(last) / "manifest.json").exists()
        return (self.runs / self.build.stage_folder(stage)).exists()

    def moment(self, process: subprocess.Popen[bytes], draw: Random, stages: list[str] | None = None) -> bool:
        """Wait for a random moment of the work that is left; false where the run ended before."""
        ahead = [name for name in (stages or [*self.stages(), "finish"]) if not self.begun(name)] or ["finish"]
        weights = [0.3 + self.build.seconds.get(name, 1.0) for name in ahead]
        [stage] = draw.choices(ahead, weights)
        span = draw.uniform(0, 0.2 + 1.3 * self.build.seconds.get(stage, 1.0))
        return wait_until(process, lambda: self.begun(stage)) and rest(process, span)


def wait_until(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> bool:
    """Wait for it while the process lives; true where it came."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.01)
    return False


def rest(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Let the process work on for so long; false where it ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False
