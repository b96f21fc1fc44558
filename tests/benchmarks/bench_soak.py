"""Thousands of sandbox runs in one process: do memory, handles, threads and containers stay flat?

    python tests/benchmarks/bench_soak.py [--runs 5000] [--every 250] [--leak]

The runs are rows of a stage in threads around Docker, with its journal, under the product's own runner and executor
and with their own number of threads: a container is started, does one thing and goes. Most run one command; the
others copy files, are graded by swebench, run out of time, flood their output, leave a child behind or kill
themselves. Each must end as it should.

Growth is the slope of a straight line through the samples after the warm-up (the first fifth of the runs: swebench is
imported there, pools and caches fill), times 1,000 runs. What is allowed, and why:

- handles, sockets, threads: 5 in 1,000 runs. The rarest kind of run comes 20 times in 1,000, so a leak of one handle
  in that kind alone is four times that.
- memory of this process: 4 MiB in 1,000 runs. The runner itself notes each row's id and its place in the journal,
  some hundred bytes; whatever keeps a sandbox alive costs more than 4 KiB a run (`--leak` does, and must fail).
- memory of dockerd: the same. Its handles are shown and not judged: they are as many as containers are running at
  that moment, those of anybody else on the machine included.
- containers: never more than threads (one each, and the one that is going), none at the end.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_repo

from contextrl_data.pipeline.executors import Batch, Job
from contextrl_data.pipeline.executors.local import LocalExecutor
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, Source, StageConfig
from contextrl_data.stages.coding.daemon import LABEL, swept
from contextrl_data.stages.coding.evaluate import EvaluateConfig, evaluate_patch
from contextrl_data.stages.coding.faults import SandboxOver
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig, connect

LIMITS = SandboxConfig(memory="256m", pids=64, output_bytes=100_000)
SCHEMA = pa.schema([("id", pa.string()), ("kind", pa.string())])
KINDS = (
    *["command"] * 38,
    *["copy"] * 4,
    *["resolved"] * 2,
    "unresolved",
    "timeout",
    "flood",
    "child",
    "suicide",
    "error",
)
"""One turn of fifty runs; those named once come 20 times in 1,000."""
LEAKED: list[Any] = []
ALLOWED = {"rss_mib": 4.0, "handles": 5.0, "sockets": 5.0, "threads": 5.0, "dockerd_mib": 4.0}
"""Most growth in 1,000 runs."""


class SoakConfig(StageConfig):
    runs: int = 5000
    """How many."""


class Runs(Source[SoakConfig]):
    """One row a run."""

    name = "runs"
    schema = SCHEMA

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number in range(self.config.runs):
            row = {"id": f"run{number}", "kind": KINDS[number * 7 % len(KINDS)]}
            yield row["id"], Keep([row])


class Soak(Map[SoakConfig]):
    """Kept where the run ended as its kind must."""

    name = "soak"
    work: ClassVar[Literal["thread", "process"]] = "thread"
    dear = True
    schema = SCHEMA
    leak = False

    def open(self, context: Context) -> None:
        super().open(context)
        self._client = connect()
        self._task = small_repo.task("boundary")

    def close(self) -> None:
        self._client.close()

    def process(self, row: Row) -> Outcome:
        kind = row["kind"]
        right = self._evaluate(kind) if kind in ("resolved", "unresolved") else self._run(row)
        return Keep([row]) if right else Drop(f"{kind} ended wrongly")

    def _evaluate(self, kind: str) -> bool:
        patch = self._task["patch"]
        if kind == "unresolved":
            patch = patch.replace("+    while start + size <=", "+    while start + size + 0 <")
        return (
            evaluate_patch(self._client, self._task, patch, EvaluateConfig(sandbox=LIMITS), self.context.run_id).status
            == kind
        )

    def _run(self, row: Row) -> bool:
        with Sandbox(self._client, small_repo.TAG, LIMITS, self.context.run_id) as sandbox:
            if self.leak:
                LEAKED.append((sandbox, os.dup(0)))
            match row["kind"]:
                case "copy":
                    sandbox.put("/tmp/file", row["id"].encode() * 1000)
                    return sandbox.get("/tmp/file", 100_000) == row["id"].encode() * 1000
                case "timeout":
                    return sandbox.exec("sleep 60", timeout=1).state == "timeout"
                case "flood":
                    return sandbox.exec("yes", timeout=30).state == "output_cap"
                case "child":
                    return sandbox.exec("setsid sleep 600 >/dev/null 2>&1 & disown").state == "ok"
                case "suicide":
                    try:
                        sandbox.exec("true")
                        sandbox.exec("kill -9 -1; sleep 30")
                    except SandboxOver:
                        return True
                    return False
                case "error":
                    return sandbox.exec("exit 3").exit_code == 3
                case _:
                    return sandbox.exec(f"echo {row['id']}").output == f"{row['id']}\n"


@dataclass(frozen=True)
class Sample:
    """What was held after so many runs."""

    runs: int
    seconds: float
    rss_mib: float
    handles: int
    sockets: int
    threads: int
    containers: int
    dockerd_mib: float
    dockerd_handles: int


def rss_mib(pid: int | str) -> float:
    """Resident memory of a process, in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def handles(pid: int | str) -> list[str]:
    """What its file descriptors point at."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:  # the one that lists the folder
            continue
    return found


def dockerd() -> int:
    """The daemon that DOCKER_HOST names, else the one on the socket of this machine: the oldest process of that name."""
    wanted = os.environ.get("DOCKER_HOST", "").encode()
    named = [path.parent for path in Path("/proc").glob("[0-9]*/comm") if path.read_text().strip() == "dockerd"]
    ours = [int(folder.name) for folder in named if wanted in (folder / "cmdline").read_bytes()]
    if not ours:
        sys.exit("no dockerd on this machine: its memory cannot be read")
    return min(ours)


class Watched(LocalExecutor):
    """The local executor, looked at after every so many outcomes."""

    def __init__(self, every: int) -> None:
        self.every, self.samples = every, list[Sample]()
        self._daemon, self._client, self._began = dockerd(), connect(), time.monotonic()

    def run(self, job: Job, batches: Iterator[Batch], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
        print(f"{workers} threads", flush=True)
        for done, outcome in enumerate(super().run(job, batches, workers), 1):
            yield outcome
            if done % self.every == 0:
                self.look(done, job.context.run_id)

    def look(self, done: int, run_id: str) -> None:
        """Take a sample and print it."""
        gc.collect()
        containers = self._client.api.containers(all=True, filters={"label": f"{LABEL}={run_id}"})
        mine = handles("self")
        sample = Sample(
            done,
            round(time.monotonic() - self._began),
            round(rss_mib("self"), 1),
            len(mine),
            sum(one.startswith("socket:") for one in mine),
            len(list(Path("/proc/self/task").iterdir())),
            len(containers),
            round(rss_mib(self._daemon), 1),
            len(handles(self._daemon)),
        )
        if not self.samples:
            print(" ".join(f"{field.name:>15}" for field in fields(Sample)))
        print(" ".join(f"{value:>15}" for value in astuple(sample)), f"  load {os.getloadavg()[0]:.1f}", flush=True)
        self.samples.append(sample)


def growth(samples: list[Sample], name: str) -> float:
    """Slope of one measure after the warm-up, in units per 1,000 runs."""
    late = samples[len(samples) // 5 :]
    return float(np.polyfit([one.runs / 1000 for one in late], [getattr(one, name) for one in late], 1)[0])


def verdict(samples: list[Sample], most_containers: int) -> bool:
    """Print growth beside what is allowed; true where all is flat."""
    print(f"\n{'measure':>16} {'after warm-up':>14} {'at the end':>11} {'growth/1,000':>13} {'allowed':>8}")
    flat = True
    for name in (*ALLOWED, "dockerd_handles"):
        grown, allowed = growth(samples, name), ALLOWED.get(name)
        first, last = getattr(samples[len(samples) // 5], name), getattr(samples[-1], name)
        told = "not judged" if allowed is None else "flat" if grown <= allowed else "GROWS"
        flat &= told != "GROWS"
        bound = "" if allowed is None else f"{allowed:.1f}"
        print(f"{name:>16} {first:>14} {last:>11} {grown:>13.2f} {bound:>8} {told}")
    seen = max(one.containers for one in samples)
    print(f"{'containers':>16} at most {seen} at a time, {most_containers} allowed")
    return flat and seen <= most_containers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--every", type=int, default=250, help="runs between two samples")
    parser.add_argument("--leak", action="store_true", help="keep every sandbox and a handle: the verdict must say so")
    options = parser.parse_args()
    Soak.leak = options.leak
    client = connect()
    watched = Watched(options.every)
    with tempfile.TemporaryDirectory() as scratch, swept():
        small_repo.build(client, Path(scratch, "image"))
        began = time.monotonic()
        runner = Runner(RunSettings(root=Path(scratch, "runs"), retries=0), executor=watched)
        config = SoakConfig(runs=options.runs)
        soak = Soak(config)
        done = runner.run([Step(Runs(config)), Step(soak, after="runs")])["soak"].manifest
        seconds = time.monotonic() - began
        left = client.api.containers(all=True, filters={"label": f"{LABEL}={done.key}"})
    print(f"\n{done.rows_in} runs in {seconds:.0f} s, {done.rows_in / seconds:.2f} a second")
    print(
        f"as they should: {done.kept}; not: {done.dropped or 0}; failed: {done.failed or 0}; containers left: {len(left)}"
    )
    flat = verdict(watched.samples, 2 * watched.workers(soak))
    good = flat and done.kept == options.runs and not left
    print("FLAT" if good else "NOT FLAT")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
