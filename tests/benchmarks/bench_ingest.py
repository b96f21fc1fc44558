"""Trajectories from parquet up to the judge, beside merely decoding the same parquet: time, ratio, peak memory.

    python tests/benchmarks/bench_ingest.py --runs FOLDER [--rows 1000 4000 16000 66000] [--workers 2]

FOLDER holds real trajectories in any format that is read; each is written out many times, varied. Of every 20 copies
of the whole folder one keeps its common commits and makes pairs; in the others each run has a commit of its own, as
most runs of a large set have no partner. Every size is measured in a process of its own, and its files are removed
before the next size is begun: the largest takes about three times its parquet on disk.

Two things are called decoding: Arrow's alone (`iter_batches`), and that into Python rows (`to_pylist` of each batch).
Seconds are the clock's; `cpu` is the ratio of processor seconds to those of decoding into rows, which holds on a busy
machine too. Memory is the largest sum over the build and its workers, looked at ten times a second: pages they share
count for each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Keep, Row
from contextrl_data.stages.coding.block import Block, BlockConfig
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.check import Check, CheckConfig
from contextrl_data.stages.coding.decontaminate import DecontaminateConfig
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.mask import Mask, MaskConfig
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig
from contextrl_data.stages.rows import MESSAGE

SCHEMA = pa.schema(
    [
        ("instance_id", pa.string()),
        ("repo", pa.string()),
        ("commit", pa.string()),
        ("problem_statement", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("patch", pa.string()),
        ("resolved", pa.bool_()),
    ]
)
BENCHMARKS = DecontaminateConfig(allow_benchmarks=True)
SHARING = 20
"""Of so many copies one makes pairs."""
GROUP = 200
"""Rows of one row group."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="file or folder of real trajectories")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 4_000, 16_000, 66_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--below", type=Path, help="folder for the files; the system's own for passing ones without")
    parser.add_argument("--stages", action="store_true", help="also print the seconds of each stage")
    chosen = parser.parse_args()
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {load:.1f} at the start (above {cores} others take their share: trust ratios)")
    heads = ("text", "arrow", "to rows", "ours", "/arrow", "/rows", "cpu", "memory", "pairs")
    print(f"{'rows':>7}" + "".join(f" {head:>8}" for head in heads))
    for rows in chosen.rows:
        folder = Path(tempfile.mkdtemp(prefix="bench-ingest-", dir=chosen.below))
        try:
            path = folder / "runs.parquet"
            size = apart(write, chosen.runs, path, rows)["result"]
            arrow, decoded = (apart(decode, path, into_rows) for into_rows in (False, True))
            ours = apart(ingest, path, folder / "runs", chosen.workers)
            pairs, seconds = ours["result"]
            print(
                f"{rows:>7,} {size / 1e9:>6.2f}GB {arrow['seconds']:>7.1f}s {decoded['seconds']:>7.1f}s "
                f"{ours['seconds']:>7.1f}s {ours['seconds'] / arrow['seconds']:>8.2f} "
                f"{ours['seconds'] / decoded['seconds']:>8.2f} {ours['cpu'] / decoded['cpu']:>8.2f} "
                f"{ours['memory'] / 1e9:>6.2f}GB {pairs:>8,}",
                flush=True,
            )
            if chosen.stages:
                print(
                    "        " + ", ".join(f"{name} {took:.1f}s" for name, took in seconds.items()),
                    flush=True,
                )
        finally:
            shutil.rmtree(folder)


def apart(work: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Run in a fresh process: its time, and the peak memory of it and its workers together (needs Linux)."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measured, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    peak = 0
    try:
        while not ours.poll(0.1):
            peak = max(peak, resident(process.pid))
        found: dict[str, Any] = ours.recv()
    finally:
        process.join()
    return {**found, "memory": peak}


def resident(pid: int | None) -> int:
    """Bytes that a process and all below it hold now; pages that they share count for each."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:  # ended in between
        return 0
    return pages * resource.getpagesize() + sum(resident(int(child)) for child in below)


def _measured(pipe: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    started, before = time.perf_counter(), time.process_time()
    result = work(*arguments)
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    pipe.send(
        {
            "result": result,
            "seconds": seconds,
            "cpu": cpu + children.ru_utime + children.ru_stime,
        }
    )


def write(source: Path, path: Path, rows: int) -> int:
    """Real runs, varied, as one parquet file; returns the size of its text."""
    stage = Trajectories(TrajectoriesConfig(path=str(source), benchmarks=BENCHMARKS))
    real = [row for _, outcome in stage.items() if isinstance(outcome, Keep) for row in outcome.rows if row["patch"]]
    size = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as out:
        varied = islice(variations(real), rows)
        while group := list(islice(varied, GROUP)):
            size += sum(len(message["content"]) for row in group for message in row["messages"])
            out.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
    return size


def variations(real: list[Row]) -> Iterator[Row]:
    """Copies without end; every message of each differs from the same message of every other."""
    for copy in count():
        for number, row in enumerate(real):
            own = f"{copy:08x}" if copy % SHARING == 0 else f"{copy * len(real) + number:016x}"
            yield {
                "instance_id": f"{row['instance_id']}.{copy}",
                "repo": row["repo"],
                "commit": own,
                "problem_statement": f"{row['problem_statement']}\n{copy}",
                "messages": [
                    {"role": one["role"], "content": f"{one['content']}\n{copy} {number}"} for one in row["messages"]
                ],
                "patch": row["patch"],
                "resolved": row["resolved"],
            }


def decode(path: Path, into_rows: bool) -> int:
    """Read the file and do nothing with it."""
    seen = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=32):
            seen += len(batch.to_pylist()) if into_rows else batch.num_rows
    return seen


def ingest(path: Path, root: Path, workers: int) -> tuple[int, dict[str, float]]:
    """Everything up to the judge; returns the pairs that come to it, and the seconds of each stage."""
    cascade = CascadeConfig(scope="file", require_resolved=False)
    steps = [
        Step(Trajectories(TrajectoriesConfig(path=str(path), benchmarks=BENCHMARKS))),
        Step(Block(BlockConfig(require_resolved=False)), after="trajectories"),
        Step(Locate(LocateConfig()), after="block"),
        Step(Cascade(cascade), after="locate"),
        Step(Mask(MaskConfig()), after="cascade"),
        Step(Check(CheckConfig(unknown_tasks="keep")), after="mask"),
    ]
    finished = Runner(RunSettings(root=root, workers=workers)).run(steps)
    return len(finished["check"].rows), {name: one.manifest.seconds for name, one in finished.items()}


if __name__ == "__main__":
    main()
