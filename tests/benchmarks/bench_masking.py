"""Pairs kept against the accuracy of blind baselines, on real trajectories; what stays readable; and the time.

python tests/benchmarks/bench_masking.py TRAJECTORIES [PICTURE]

TRAJECTORIES is anything that `trajectories.path` may be. The picture (.svg or .png) needs matplotlib.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from contextrl_data.pipeline.progress import Progress
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.audit import BaselineResult, summarise
from contextrl_data.stages.audit.rare_words import NAME, RareWords
from contextrl_data.stages.balance import Limits, Unit, choose
from contextrl_data.stages.coding.build import steps
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.lexical import changed_lines, context_text, fold

VIEWS: tuple[Literal["full", "before_edit"], ...] = ("full", "before_edit")
NAMES = ("keep", "invented", "telling")
SLACKS = (0.25, 0.5, 0.75, 1.0, math.inf)
READABLE = 12
MOST = 10_000


@dataclass(frozen=True)
class Kept:
    """One point of the curve: what is left when baselines may stray so far from chance."""

    slack: float
    rows: int
    worst: BaselineResult | None


def config_of(source: str, root: str, names: str, view: str, budget: int) -> CodingConfig:
    """The build of existing trajectories that share no commit; benchmarks pass, for this is a measurement."""
    return CodingConfig.model_validate(
        {
            "tasks": "trajectories",
            "trajectories": {"path": source, "benchmarks": {"allow_benchmarks": True}},
            "cascade": {"same_commit": False, "scope": "file", "max_per_function": 100, "max_per_trajectory": 20},
            "mask": {"names": names},
            "direct": {"view": view, "max_tokens": budget},
            "select": {"max_source_share": 1.0},
            "run": {"root": root, "workers": len(os.sched_getaffinity(0))},
        }
    )


def run(config: CodingConfig) -> dict[str, Finished]:
    """Every stage, the export included; those that an earlier call has finished are taken from there."""
    with Progress() as progress:
        return Runner(config.run, progress).run(steps(config))


def scores(row: Row) -> dict[str, float]:
    """Blind scores by baseline."""
    return {one["name"]: one["value"] for one in row["blind_scores"]}


def weighed(rows: list[Row]) -> list[Row]:
    """The same with the score that only the whole set gives, as `select` adds it."""
    guesser = RareWords()
    for row in rows:
        guesser.add(row["id"], row["answer"], context_text(row["context_pos"]), context_text(row["context_neg"]))
    more = guesser.scores()
    return [{**row, "blind_scores": [*row["blind_scores"], {"name": NAME, "value": more[row["id"]]}]} for row in rows]


def curve(rows: list[Row]) -> list[Kept]:
    """The most pairs, without caps, for each allowed tilt: at slack 1 a 95 % interval still holds one half; inf: all."""
    parts: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        parts.setdefault(row["pair_id"], []).append(scores(row))
    names = sorted({name for part in parts.values() for one in part for name in one})
    units = [
        Unit(key, len(part), (), "", (), tuple(sum(one[name] - 0.5 for one in part) for name in names))
        for key, part in parts.items()
    ]
    points = []
    for slack in SLACKS:
        limits = Limits(rows=MOST, per_member={}, per_source=MOST, per_kind={}, slack=min(slack, 1.0))
        chosen = set(choose(units, names, limits, seed=0).chosen) if slack <= 1 else set(parts)
        results = summarise(one for key, part in parts.items() if key in chosen for one in part)
        points.append(Kept(slack, sum(len(parts[key]) for key in chosen), worst_of(results)))
    return points


def worst_of(results: list[BaselineResult]) -> BaselineResult | None:
    """The baseline farthest from one half."""
    return max(results, key=lambda result: abs(result.accuracy - 0.5), default=None)


def readable(rows: list[Row]) -> int:
    """Added lines of answers, longer than the bound, that stand in their masked C+."""
    found = 0
    for row in rows:
        text = fold(context_text(row["context_pos"]))
        lines = {line for line in map(fold, changed_lines(row["answer"])[1]) if len(line) > READABLE}
        found += sum(line in text for line in lines)
    return found


def say(result: BaselineResult | None) -> str:
    """A baseline as cells of a table."""
    if result is None:
        return "| | | |"
    chance = "yes" if result.at_chance else "no"
    return f"| {result.name} | {result.accuracy:.3f} | {result.low:.3f} to {result.high:.3f} | {chance} |"


def draw(curves: dict[tuple[str, str], list[Kept]], picture: Path) -> None:
    """Pairs kept against the accuracy of the best blind baseline."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "contextrl-data"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for (view, names), points in curves.items():
        shown = [(point.worst.accuracy, point.rows) for point in points if point.worst]
        style = {"full": "-", "before_edit": "--"}[view]
        axes.plot(
            *zip(*shown, strict=True),
            style,
            marker="o",
            color=f"C{NAMES.index(names)}",
            label=f"{view}, names: {names}",
        )
    axes.axvline(0.5, color="grey", linewidth=0.8)
    axes.set_xlabel("accuracy of the blind baseline farthest from chance")
    axes.set_ylabel("directed pairs kept")
    axes.legend(fontsize=8)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


def main() -> None:
    """Print the tables."""
    source, budget = sys.argv[1], int(os.environ.get("MAX_TOKENS", "32768"))
    curves: dict[tuple[str, str], list[Kept]] = {}
    selected: list[str] = []
    with tempfile.TemporaryDirectory() as root:
        for names in NAMES:
            for view in VIEWS:
                begun = time.perf_counter()
                finished = run(config_of(source, root, names, view, budget))
                seconds = time.perf_counter() - begun
                if not curves:
                    report_funnel(finished, seconds)
                rows = weighed(list(finished["direct"].rows))
                chosen = list(finished["select"].rows)
                curves[view, names] = curve(rows)
                worst = worst_of(summarise(map(scores, chosen)))
                leaked = f"{readable(rows)} of {len(rows)}"
                selected.append(f"| {view} | {names} | {len(rows)} | {leaked} | {len(chosen)} {say(worst)}")
    print("\n| view | names | directed pairs | readable added lines in C+ | selected | worst baseline | accuracy "
          "| 95 % interval | at chance |\n|---|---|---:|---:|---:|---|---:|---|---|")  # fmt: skip
    print("\n".join(selected))
    print("\n| view | names | slack | pairs kept | worst baseline | accuracy | 95 % interval | at chance |"
          "\n|---|---|---:|---:|---|---:|---|---|")  # fmt: skip
    for (view, names), points in curves.items():
        for point in points:
            print(f"| {view} | {names} | {point.slack:g} | {point.rows} {say(point.worst)}")
    if len(sys.argv) > 2:
        draw(curves, Path(sys.argv[2]))


def report_funnel(finished: dict[str, Finished], seconds: float) -> None:
    """Where the rows of the first build went."""
    print(f"files to exported pairs: {seconds:.1f} s with {len(os.sched_getaffinity(0))} processes\n")
    print("| stage | in | kept | dropped |\n|---|---:|---:|---|")
    for name, done in finished.items():
        manifest: Any = done.manifest
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(manifest.dropped).most_common())
        print(f"| {name} | {manifest.rows_in} | {manifest.kept} | {reasons} |")


if __name__ == "__main__":
    main()
