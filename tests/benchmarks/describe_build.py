"""Print what a build took and gave, as the Markdown of docs/coding.md.

    python tests/benchmarks/describe_build.py BUILD_FOLDER [EVENTS]

EVENTS counts the containers: the lines that this command wrote while the build ran, begun before it.

    docker events --filter event=start --filter label=contextrl-data --format '{{.Time}} {{index .Actor.Attributes "contextrl-data"}}'
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from contextrl_data.pipeline.build import BuildFolder, read_build
from contextrl_data.pipeline.progress import clock
from contextrl_data.stages.card import read_provenance


def funnel(build: BuildFolder, containers: Counter[str]) -> None:
    """Every stage with its rows, time and containers."""
    print("| stage | rows in | kept | rows out | dropped | containers | time |")
    print("|---|---:|---:|---:|---|---:|---:|")
    keys = dict(build.stages)
    seconds = 0.0
    for row in build.funnel():
        dropped = "; ".join(f"{why} {count}" for why, count in sorted(row.dropped.items(), key=lambda x: -x[1]))
        failed = "; ".join(f"FAILED {why} {count}" for why, count in row.failed.items())
        started = containers.get(keys[row.stage], 0)
        seconds += row.seconds
        print(
            f"| {row.stage} | {row.rows_in:,} | {row.kept:,} | {row.rows_out:,} | {'; '.join(filter(None, (dropped, failed)))} "
            f"| {started or ''} | {clock(row.seconds)} |"
        )
    print(f"\nWall time of all stages: {clock(seconds)}. Containers counted: {sum(containers.values()):,}.\n")
    for row in build.funnel():
        if row.steps:
            print(f"- {row.stage}: " + " -> ".join(f"{name} {count:,}" for name, count in row.steps))


def labels(build: BuildFolder) -> None:
    """Statuses of the evaluated runs, and what the execution check found."""
    statuses = Counter(row["status"] for row in build.finished("evaluate").rows.select(["status"]))
    print("\n| status | runs |\n|---|---:|")
    for status, count in statuses.most_common():
        print(f"| {status} | {count:,} |")
    executed = Counter(
        check["status"] for row in build.finished("check").rows.select(["checks"]) for check in row["checks"]
    )
    print("\nExecution checks on record: " + ", ".join(f"{name} {count:,}" for name, count in executed.most_common()))


def dataset(build: BuildFolder) -> None:
    """What was exported, and the blind baselines on it."""
    record = read_provenance(build.path / "dataset")
    counts, distinct = record["counts"], record["distinct"]
    print(
        f"\n{record['rows']:,} pairs ({', '.join(f'{kind} {n}' for kind, n in counts['kind'].items())}) of "
        f"{distinct['groups']} functions in {len(counts['source'])} packages, from {distinct['trajectories']} trajectories.\n"
    )
    print("| blind baseline | accuracy | 95 % interval | pairs |\n|---|---:|---|---:|")
    for line in record["baselines"]:
        print(f"| {line['name']} | {line['accuracy']:.3f} | {line['low']:.3f} to {line['high']:.3f} | {line['n']:,} |")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    found = read_build(Path(sys.argv[1]))
    started: Counter[str] = Counter()
    if len(sys.argv) == 3:
        known = {key for _, key in found.stages}
        runs = (line.split()[1] for line in Path(sys.argv[2]).read_text().splitlines() if len(line.split()) > 1)
        started.update(run for run in runs if run in known)
    funnel(found, started)
    labels(found)
    dataset(found)
