"""What Ray costs on one machine: the same stages by `local` and by `ray`, one after the other, in turns.

    python tests/benchmarks/bench_ray.py [--seconds 60] [--rounds 2]

Two kinds of stage, as large as `local` needs about `--seconds` for:

- `compute`: work for the processor, in processes (as `locate` and `mask` do it);
- `wait`: journalled rows that mostly wait, in threads (as containers and chat calls do).

Ray runs on this machine with as many cores as it has, and the stages have as many workers as with `local`. A stage's
time is the runner's own, from its manifest; it holds the start of its workers. What comes before, Ray's own start, is
told apart. Both executors must leave the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa

from contextrl_data.pipeline.executors import Executor
from contextrl_data.pipeline.executors.local import LocalExecutor, cores
from contextrl_data.pipeline.executors.ray import Needs, RayExecutor, RaySettings, connect
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Keep, Map, Outcome, Row, Source, StageConfig

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())])
ROUNDS = 4000
"""Hashes over a text of 20,000 characters: some 40 ms of work a row."""
PAUSE = 0.25
"""Seconds that a waiting row waits."""
ALLOWED = 1.10


class RowsConfig(StageConfig):
    count: int = 1000
    """How many rows."""


class Texts(Source[RowsConfig]):
    """Rows with a text of the size of a short trajectory."""

    name = "texts"
    schema = SCHEMA

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number in range(self.config.count):
            row = {"id": f"row{number}", "text": f"{number} " * (20_000 // (len(str(number)) + 1))}
            yield row["id"], Keep([row])


class Nothing(StageConfig):
    pass


class Compute(Map[Nothing]):
    """Work for the processor."""

    name = "compute"
    work: ClassVar[Literal["thread", "process"]] = "process"
    schema = SCHEMA

    def process(self, row: Row) -> Outcome:
        data = row["text"].encode()
        for _ in range(ROUNDS):
            data = data[32:] + hashlib.sha256(data[:20_000]).digest()
        return Keep([{"id": row["id"], "text": data.hex()[:2000]}])


class Wait(Map[Nothing]):
    """A row that waits, and is never done twice."""

    name = "wait"
    work: ClassVar[Literal["thread", "process"]] = "thread"
    dear = True
    schema = SCHEMA

    def process(self, row: Row) -> Outcome:
        time.sleep(PAUSE)
        return Keep([{"id": row["id"], "text": row["text"][:2000]}])


def seconds_of_a_row() -> float:
    """How long the work of one row takes here and now."""
    rows = [outcome.rows[0] for _, outcome in Texts(RowsConfig(count=4)).items() if isinstance(outcome, Keep)]
    stage, began = Compute(Nothing()), time.monotonic()
    for row in rows:
        stage.process(row)
    return (time.monotonic() - began) / len(rows)


def run(stage: Map[Nothing], count: int, workers: int, executor: Executor) -> tuple[float, str]:
    """Seconds of the stage, and a digest of its rows."""
    with tempfile.TemporaryDirectory() as scratch:
        runner = Runner(RunSettings(root=Path(scratch), workers=workers, retries=0), executor=executor)
        done = runner.run([Step(Texts(RowsConfig(count=count))), Step(stage, after="texts")])[stage.name].manifest
    if done.kept != count:
        sys.exit(f"{stage.name}: {done.kept} of {count} rows")
    return done.seconds, done.digest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long a stage takes `local`, about")
    parser.add_argument("--rounds", type=int, default=2, help="turns of local and ray; the median counts")
    parser.add_argument("--only", choices=["compute", "wait"], help="this stage alone")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    began = time.monotonic()
    needs = {"compute": Needs(cpu=1), "wait": Needs(cpu=0.5)}
    settings = RaySettings(address="local", stages=needs)
    connect(settings)
    print(
        f"load {os.getloadavg()[0]:.1f} on {cores()} cores; Ray started in {time.monotonic() - began:.1f} s", flush=True
    )
    plan = [
        (Compute(Nothing()), cores(), int(options.seconds * cores() / seconds_of_a_row())),
        (Wait(Nothing()), 2 * cores(), int(options.seconds * 2 * cores() / PAUSE)),
    ]
    over = False
    print(f"{'stage':>8} {'rows':>6} {'workers':>7} {'local s':>18} {'ray s':>18} {'ratio':>6}  same bytes", flush=True)
    for stage, workers, count in plan:
        if options.only not in (None, stage.name):
            continue
        taken: dict[str, list[float]] = {"local": [], "ray": []}
        digests = set()
        for turn in range(options.rounds):
            pairs = [("local", LocalExecutor()), ("ray", RayExecutor(settings))]
            for name, executor in pairs if turn % 2 == 0 else pairs[::-1]:
                seconds, digest = run(stage, count, workers, executor)
                taken[name].append(seconds)
                digests.add(digest)
        ratio = statistics.median(taken["ray"]) / statistics.median(taken["local"])
        over |= ratio > ALLOWED or len(digests) > 1
        told = {name: " ".join(f"{one:.1f}" for one in found) for name, found in taken.items()}
        print(
            f"{stage.name:>8} {count:>6} {workers:>7} {told['local']:>18} {told['ray']:>18} {ratio:>6.3f}  "
            f"{'yes' if len(digests) == 1 else 'NO'} (load {os.getloadavg()[0]:.1f})",
            flush=True,
        )
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    # Ray's workers import the stages by this module's name.
    import bench_ray

    bench_ray.main()
