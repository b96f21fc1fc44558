"""The pictures: a run's curve, the probe's intervals, and the comparison of objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

_CURVES = (("reward", "reward"), ("contrast/accuracy", "pairs chosen right"), ("selection/accuracy", "selection"))


def _figure(width: float = 6.0, height: float = 4.0) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plot_curve(log: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Reward and selection accuracy over the steps."""
    figure = _figure()
    axes = figure.subplots()
    for key, name in _CURVES:
        points = [(line["step"], line[key]) for line in log if key in line]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, marker="." if len(points) < 30 else None)
    axes.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xlabel("optimizer step")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def plot_intervals(rows: Sequence[tuple[str, float, float, float]], path: Path, title: str) -> None:
    """Accuracies with their intervals, one line each: name, accuracy, low, high."""
    figure = _figure(6.0, 1.2 + 0.3 * len(rows))
    axes = figure.subplots()
    for place, (_, value, low, high) in enumerate(reversed(rows)):
        axes.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color="C0", capsize=3)
    axes.set_yticks(range(len(rows)), [name for name, *_ in reversed(rows)])
    axes.axvline(0.5, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xlim(0, 1)
    axes.set_xlabel("selection accuracy, 95 % interval")
    axes.set_title(title)
    figure.savefig(path, dpi=110)


def plot_comparison(
    points: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]], path: Path
) -> None:
    """Selection accuracy against task reward; each a mean with its low and high end. What is good lies above on the right."""
    figure = _figure(6.4, 4.4)
    axes = figure.subplots()
    for place, (marker, name) in enumerate(zip(cycle("os^Dv"), points, strict=False)):
        (x, x_low, x_high), (y, y_low, y_high) = points[name]
        across, up = [[x - x_low], [x_high - x]], [[y - y_low], [y_high - y]]
        colour = f"C{place}"
        axes.errorbar(x, y, xerr=across, yerr=up, fmt=marker, color=colour, capsize=2, elinewidth=0.9, markersize=8)
        # Beside the point, on the side that is in the picture.
        right = x > 0.8
        axes.annotate(
            name, (x, y), (-9 if right else 9, -13), textcoords="offset points", ha="right" if right else "left",
            color=colour, fontweight="bold",
        )  # fmt: skip
    axes.axvline(0.5, color="grey", linewidth=0.8, linestyle=":")
    axes.annotate("chance", (0.5, 1.01), xycoords=("data", "axes fraction"), ha="center", color="grey", fontsize=8)
    axes.set_xlim(min(low for (_, low, _), _ in points.values()) - 0.02, 1.02)
    axes.set_xlabel("selection accuracy, both orders, 95 % interval")
    axes.set_ylabel("mean task reward, 95 % interval")
    figure.savefig(path, dpi=110)
