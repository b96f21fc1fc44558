"""A small pipeline with every shape of stage and every outcome, for the engine's tests. Run as a script to be killed.

python toy_pipeline.py ROOT [WORKERS] [SHARD_ROWS] [PAUSE]
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from contextrl_data.pipeline.calls import CallLedger
from contextrl_data.pipeline.errors import InputError, RowFailure
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import (
    Context,
    Drop,
    Gather,
    Gathered,
    Keep,
    Map,
    Outcome,
    Row,
    Rows,
    Source,
    StageConfig,
    seed_of,
)

SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64()), ("text", pa.string())])


class NumbersConfig(StageConfig):
    count: int = 2500
    """How many numbers."""


class Numbers(Source[NumbersConfig]):
    name = "numbers"
    schema = SCHEMA
    restored = 0

    def restore(self, rows: Rows) -> None:
        Numbers.restored += len(rows)

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for value in range(self.config.count):
            row = {"id": f"n{value}", "value": value, "text": "x" * (value % 50)}
            yield row["id"], Drop("multiple of 100") if value % 100 == 0 else Keep([row])


class SplitConfig(StageConfig):
    factor: int = 3
    """Value is multiplied by this."""
    pause: float = 0.0
    """Seconds of pretended work; not part of what comes out, but of the config for simplicity's sake."""
    fail_file: str = ""
    """While this file exists, ids ending in 7 fail."""


class Split(Map[SplitConfig]):
    """Every kept number comes out `value % 3` times; computed in processes."""

    name = "split"
    work: ClassVar[Literal["thread", "process"]] = "process"
    schema = SCHEMA

    def process(self, row: Row) -> Outcome:
        time.sleep(self.config.pause)
        if self.config.fail_file and Path(self.config.fail_file).exists() and row["id"].endswith("7"):
            raise RowFailure("toy", "the file is there")
        if row["value"] % 7 == 0:
            return Drop("multiple of 7")
        seed = seed_of(1, row["id"]) % 1000
        times = row["value"] % 3 + 1
        return Keep(
            [
                {"id": f"{row['id']}.{n}", "value": row["value"] * self.config.factor, "text": str(seed)}
                for n in range(times)
            ]
        )


class Dear(Split):
    """The same work, journalled, in threads; notes every row that it works on, so that tests can count, and books a
    tenth of a cent for each."""

    name = "dear"
    work: ClassVar[Literal["thread", "process"]] = "thread"
    dear = True

    def open(self, context: Context) -> None:
        super().open(context)
        self._worked = (context.folder / "worked.log").open("a")
        self._ledger = CallLedger(context.folder, self.name)

    def close(self) -> None:
        self._worked.close()

    def process(self, row: Row) -> Outcome:
        with self._ledger.call("toy", row["id"]) as call:
            call.dollars = 0.001
            outcome = super().process(row)
        self._worked.write(row["id"] + "\n")
        self._worked.flush()
        return outcome


class Killer(Split):
    """Takes the worker with it."""

    name = "killer"

    def process(self, row: Row) -> Outcome:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().process(row)


class Mistaken(Split):
    """Finds that the user got something wrong."""

    name = "mistaken"

    def process(self, row: Row) -> Outcome:
        raise InputError("this cannot be", "mend it")


class LargestConfig(StageConfig):
    count: int = 1200
    """How many to keep."""


class Largest(Gather[LargestConfig]):
    """Keeps the largest values."""

    name = "largest"
    schema = SCHEMA

    def gather(self, rows: Rows) -> Gathered:
        order = sorted(rows.select(["id", "value"]), key=lambda row: (-row["value"], row["id"]))
        chosen = {row["id"] for row in order[: self.config.count]}
        return Gathered(
            rows=(row for row in rows if row["id"] in chosen),
            dropped={row["id"]: "too small" for row in order[self.config.count :]},
            funnel=[("seen", len(order)), ("chosen", len(chosen))],
        )


def steps(
    count: int = 2500, factor: int = 3, pause: float = 0.0, fail_file: str = "", largest: int = 1200, dear: bool = True
) -> list[Step]:
    """numbers -> split (processes) -> dear (threads, journal) -> largest."""
    split = SplitConfig(factor=factor, pause=pause, fail_file=fail_file)
    chain = [Step(Numbers(NumbersConfig(count=count))), Step(Split(split), after="numbers")]
    if dear:
        chain.append(Step(Dear(SplitConfig(pause=pause)), after="split"))
    return [*chain, Step(Largest(LargestConfig(count=largest)), after=chain[-1].stage.name)]


def contents(root: Path) -> dict[str, bytes]:
    """Bytes of every shard and ledger below `root`, by stage folder and name."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.parquet"))}


def run(root: Path, chain: list[Step], **settings: Any) -> dict[str, Any]:
    """Run the pipeline without progress and without retries."""
    return dict(Runner(RunSettings(root=root, retries=0, **settings)).run(chain))


if __name__ == "__main__":
    root, workers, shard_rows, pause = (*sys.argv[1:], "2", "1000", "0")[:4] if len(sys.argv) < 5 else sys.argv[1:5]
    run(Path(root), steps(count=400, pause=float(pause), largest=200), workers=int(workers), shard_rows=int(shard_rows))
    print("finished")
