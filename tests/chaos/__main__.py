"""`make chaos`: faults against real builds; prints a table, and ends with 1 where anything was missed.

python -m chaos --faults 200 --seed 1
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaos.campaign import LANES, Line, lines_of, run_lane, table
from chaos.world import made

BUILDS = ("coding", "coding-served", "images", "images-hub")


def campaign(
    folder: Path, faults: int, seed: int, most: int, wanted: list[str], minutes: float = 1e6, only: str = ""
) -> list[Line]:
    """Run it in `folder`, the lanes side by side, and return a line for each kind of fault and build."""
    started, lock = time.monotonic(), threading.Lock()
    folder.mkdir(parents=True, exist_ok=True)

    def say(line: str) -> None:
        with lock:
            print(f"[{time.monotonic() - started:5.0f} s] {line}", flush=True)

    with made(folder, wanted, say) as world:
        rows = [row for row in lines_of(world, wanted) if only in row[1].fault]

        def enough() -> bool:
            return sum(line.faults for _, line in rows) >= faults or time.monotonic() - started > 60 * minutes

        lanes = {lane: [row for row in rows if row[0].lane(row[1].build) == lane] for lane in LANES}
        with ThreadPoolExecutor(len(LANES)) as pool:
            runs = [pool.submit(run_lane, world, lanes[lane], enough, f"{lane} {seed}", most, say) for lane in LANES]
            for run in runs:
                run.result()
    return [line for _, line in rows]


def main() -> int:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=200, help="stop when so many have struck")
    parser.add_argument("--seed", type=int, default=1, help="draws kinds, moments and sizes")
    parser.add_argument("--most", type=int, default=4, help="most faults in one build before it is resumed")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no further build after so many")
    parser.add_argument("--builds", default=",".join(BUILDS), help="which, by name")
    parser.add_argument("--only", default="", help="kinds of faults whose name holds this")
    parser.add_argument("--keep", type=Path, help="work here, and keep the undisturbed builds for the next campaign")
    asked = parser.parse_args()
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the daemon is stopped, and mounts go
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        folder = (asked.keep or Path(scratch)).resolve()
        lines = campaign(
            folder, asked.faults, asked.seed, asked.most, asked.builds.split(","), asked.minutes, asked.only
        )
    print(table(lines))
    print(f"seed {asked.seed}, {time.monotonic() - started:.0f} s")
    for reason in sorted({f"{line.fault} on {line.build}: {line.left_out}" for line in lines if line.left_out}):
        print(f"left out: {reason}")
    missed = [told for line in lines for told in line.told]
    print("\n".join(missed) if missed else "no miss")
    return 1 if missed or not any(line.faults for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
