"""Processor time of the stage `mask` a pair, in one process, and a digest of what it gives.

    python tests/benchmarks/bench_mask_cost.py TRAJECTORIES [--passes 3]

TRAJECTORIES is anything that `trajectories.path` may be. Each pair is timed once in every pass and its best time counts,
so that other work on the machine tells little; the first pass alone reads every message for the first time. Run it
with older sources on PYTHONPATH to compare: equal digests mean equal rows.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Iterator
from typing import Any

from contextrl_data.pipeline.stage import Keep, Row
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.decontaminate import DecontaminateConfig
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.mask import Mask, MaskConfig
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig


class Listed(list[Row]):
    """Rows in memory, with the engine's own `select`."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


def pairs_of(source: str) -> list[Row]:
    """All pairs of runs that edit one file, whatever their commits."""
    stage = Trajectories(TrajectoriesConfig(path=source, benchmarks=DecontaminateConfig(allow_benchmarks=True)))
    rows = [row for _, outcome in stage.items() if isinstance(outcome, Keep) for row in outcome.rows]
    located: Any = Listed()
    for row in rows:
        outcome = Locate(LocateConfig()).process(row)
        located.extend(outcome.rows if isinstance(outcome, Keep) else [])
    return list(Cascade(CascadeConfig(scope="file", require_resolved=False, same_commit=False)).gather(located).rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", help="file or folder of real trajectories")
    parser.add_argument("--passes", type=int, default=3)
    chosen = parser.parse_args()
    pairs, stage = pairs_of(chosen.runs), Mask(MaskConfig())
    size = sum(
        len(one["content"] or "") for pair in pairs for side in ("first", "second") for one in pair[side]["messages"]
    )
    print(
        f"{len(pairs)} pairs, {size / len(pairs) / 2000:.0f} thousand characters a context, load {os.getloadavg()[0]:.1f}"
    )
    best, first, digest = [float("inf")] * len(pairs), 0.0, hashlib.sha256()
    for turn in range(chosen.passes):
        for number, pair in enumerate(pairs):
            started = time.process_time()
            outcome = stage.process(pair)
            seconds = time.process_time() - started
            best[number] = min(best[number], seconds)
            if turn == 0:
                first += seconds
                digest.update(repr(outcome).encode("utf-8", "surrogatepass"))
    print(
        f"processor time a pair: {1000 * first / len(pairs):.1f} ms in the first pass, {1000 * sum(best) / len(pairs):.1f} ms at best"
    )
    print(f"digest of the outcomes: {digest.hexdigest()[:16]}")


if __name__ == "__main__":
    main()
