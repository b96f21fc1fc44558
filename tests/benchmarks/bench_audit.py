"""What the audit finds, what it raises for nothing, and how long it takes.

python tests/benchmarks/bench_audit.py [power] [clean] [text] [images]

`power`: every planted fault, on so many seeds each, must be named in at least 95 % of them. `clean`: of 40 clean sets of
texts and 40 of images at most 5 % may fail. `text` and `images`: seconds for 8,000 pairs. Without a name, all of it.
Exit code 1 where a target was missed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.result import AuditResult
from contextrl_data.stages.audit.run import audit_dataset

sys.path.insert(0, str(Path(__file__).parent.parent))
from audit_sets import (
    IMAGE_PLANTS,
    TEXT_PLANTS,
    Rows,
    image_rows,
    text_rows,
    write_lists,
    write_set,
)

SEEDS = 20
CLEAN = 40
POWER = 0.95
FALSE_ALARMS = 0.05
PAIRS = 8000
SECONDS = 60
SHAPES = ({}, {"prose": True}, {"both": True}, {"both": True, "prose": True})


def audit_rows(rows: Rows, workers: int | None = 1) -> AuditResult:
    """Write the rows, with the benchmark lists that planted rows are on, and audit them."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_set(Path(folder) / "pairs", rows)
        lists = write_lists(Path(folder) / "lists", rows)
        config = AuditConfig.model_validate({"contamination": lists, "workers": workers})
        return audit_dataset(str(path), config)


def clean_rows(kind: str, seed: int) -> Rows:
    """A clean set; the shapes take turns.."""
    if kind == "text":
        return text_rows(seed, **SHAPES[seed % len(SHAPES)])
    return image_rows(seed, both=seed % 2 == 1)


def power(seeds: int = SEEDS) -> bool:
    """Print how often each planted fault was named."""
    met = True
    for kind, plants in (("text", TEXT_PLANTS), ("image", IMAGE_PLANTS)):
        make = text_rows if kind == "text" else image_rows
        few = 50 if kind == "text" else 60
        for plant, check in plants.items():
            # Faults of single rows need no crowd.
            many = {"count": few} if " " in check else {"count": 300} if plant == "embeddings" else {}
            found = sum(check in audit_rows(make(1000 + seed, plant=plant, **many)).reasons for seed in range(seeds))
            met &= found >= POWER * seeds
            print(f"{kind:5}  {plant:16}  {check:36}  {found:3} of {seeds}", flush=True)
    return met


def clean(sets: int = CLEAN) -> bool:
    """Print what was raised on clean sets."""
    met = True
    for kind in ("text", "image"):
        alarms: Counter[str] = Counter()
        failed = 0
        for seed in range(sets):
            rows = clean_rows(kind, seed)
            with tempfile.TemporaryDirectory() as folder:
                result = audit_dataset(
                    str(write_set(Path(folder) / "pairs", rows)), AuditConfig.model_validate({"workers": 1})
                )
            alarms.update(result.reasons)
            failed += not result.passed
        met &= failed <= FALSE_ALARMS * sets
        print(f"{kind:5}  clean sets that failed: {failed} of {sets} {dict(alarms) or ''}", flush=True)
    return met


def timed(kind: str) -> bool:
    """Print the seconds for `PAIRS` pairs in both directions, as many contexts as pairs."""
    rows = text_rows(1, PAIRS, both=True, lines=400) if kind == "text" else image_rows(1, PAIRS, both=True, size=336)
    if kind == "text":
        size = sum(len(part["content"]) for part in rows[0]["context_pos"]) / 1000
        told = f"contexts of about {size:.0f} kB"
    else:
        told = f"images of 336 x 336, about {len(rows[0]['image_pos']['bytes']) / 1000:.0f} kB"
    with tempfile.TemporaryDirectory() as folder:
        path = write_set(Path(folder) / "pairs", rows)
        count = len(rows)
        del rows
        start, before = time.perf_counter(), os.times()
        result = audit_dataset(str(path), AuditConfig())
        seconds = time.perf_counter() - start
        after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    cores = len(os.sched_getaffinity(0))
    print(
        f"{kind}: {count} pairs, {told}: {seconds:.1f} s on {cores} cores, {cpu:.1f} s of CPU; {result.reasons or 'passed'}",
        flush=True,
    )
    return seconds < SECONDS


def main() -> int:
    """Run what was named."""
    parts = {"power": power, "clean": clean, "text": lambda: timed("text"), "images": lambda: timed("images")}
    names = sys.argv[1:] or list(parts)
    met = [parts[name]() for name in names]  # all of them, also after one that missed
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
