"""`make chaos`: python -m chaos --faults 200 --seed 1"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from chaos.campaign import run, table
from chaos.world import made


def main() -> int:
    """Run the campaign; 1 where anything was missed."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="stop when so many have struck")
    parser.add_argument("--seed", type=int, default=1, help="draws kinds, moments and sizes")
    parser.add_argument("--most", type=int, default=4, help="most faults in one build before it is resumed")
    parser.add_argument("--keep", type=Path, help="work here, and keep the undisturbed builds for the next campaign")
    asked = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        folder = (asked.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)

        def say(line: str) -> None:
            print(f"[{time.monotonic() - started:6.0f} s] {line}", flush=True)

        with made(folder, say) as world:
            say(f"undisturbed: {', '.join(world.builds)}")
            lines = run(world, asked.faults, asked.seed, asked.most, say)
    print(table(lines))
    print(f"seed {asked.seed}, {time.monotonic() - started:.0f} s")
    for line in lines:
        if line.skipped:
            print(f"left out: {line.fault} on {line.build}: {line.skipped}")
    missed = [told for line in lines for told in line.told]
    print("\n".join(missed) if missed else "no miss")
    return 1 if any(line.missed for line in lines) or not any(line.faults for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
