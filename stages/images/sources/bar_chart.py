"""Bar charts of real tables, upright or lying."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, replaced, shuffled
from contextrl_data.stages.images.sources.figure import new_axes, picture_of
from contextrl_data.stages.images.sources.tables import all_series

if TYPE_CHECKING:
    from PIL import Image

PALETTE = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#6b6ecf")
CLEAR = 0.07
"""Share of the axis by which two bars must differ before a question compares them."""


class BarChart:
    """A fact sheet holds the names, the values, the axis limit and the look."""

    name: ClassVar[str] = "bar_chart"
    domain: ClassVar[str] = "chart"
    licence: ClassVar[str] = "BSD-3-Clause"

    def sample(self, rng: Random) -> Facts:
        """Some bars of one real series."""
        series = rng.choice([one for one in all_series() if len(one.names) >= 3 and max(one.values) > 0])
        size = min(len(series.names), rng.choice([3, 4, 5, 6]))
        first = rng.choice([0, len(series.names) - size])
        values = list(series.values[first : first + size])
        return {
            "title": series.title,
            "axis": series.axis,
            "names": list(series.names[first : first + size]),
            "values": values,
            "limit": max(values) * rng.choice([1.2, 1.3, 1.45]) or 1.0,
            "lying": rng.random() < 0.35,
            "labels": rng.random() < 0.5,
            "colours": [rng.choice(PALETTE)] if rng.random() < 0.6 else rng.sample(PALETTE, size),
            "grid": rng.random() < 0.5,
            "size": rng.choice([[420, 320], [400, 340], [460, 320]]),
            "table": series.table,
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The chart; limits and places are those of the fact sheet."""
        names, values, lying = facts["names"], facts["values"], facts["lying"]
        place = (0.30, 0.14, 0.66, 0.74) if lying else (0.14, 0.27, 0.83, 0.61)
        figure, axes = new_axes(facts["size"], place)
        draw = axes.barh if lying else axes.bar
        colours = [facts["colours"][n % len(facts["colours"])] for n in range(len(names))]
        draw(range(len(names)), values, 0.66, color=colours)
        (axes.set_xlim if lying else axes.set_ylim)(0, facts["limit"])
        (axes.set_ylim if lying else axes.set_xlim)(-0.6, len(names) - 0.4)
        if lying:
            axes.set_yticks(range(len(names)), [_short(name, 17) for name in names])
            axes.invert_yaxis()
            axes.set_xlabel(facts["axis"])
        else:
            axes.set_xticks(range(len(names)), [_short(name, 13) for name in names], rotation=25, ha="right")
            axes.set_ylabel(facts["axis"])
        if facts["grid"]:
            axes.grid(axis="x" if lying else "y", color="#dddddd", linewidth=0.7)
            axes.set_axisbelow(True)
        if facts["labels"]:
            for place_, value in enumerate(values):
                gap = facts["limit"] * 0.015
                if lying:
                    axes.text(value + gap, place_, number(value), va="center", ha="left")
                else:
                    axes.text(place_, value + gap, number(value), va="bottom", ha="center")
        axes.set_title(facts["title"], fontsize=10)
        return picture_of(figure)

    def ask(self, facts: Facts) -> list[Asked]:
        """Extremes, comparisons, counts above a grid value, and values where they are written."""
        names, values = facts["names"], facts["values"]
        about = "|".join(names)
        found = extremes(names, values, facts["limit"] * CLEAR, "bar", ("highest", "lowest"), about)
        for place in range(len(names) - 1):
            one, other = values[place], values[place + 1]
            if abs(one - other) > facts["limit"] * CLEAR:
                words = f"Is the bar for {names[place]} higher than the bar for {names[place + 1]}?"
                found.append(Asked(words, "yes" if one > other else "no", ("yes", "no")))
        if facts["labels"]:
            found += [Asked(f"What value is shown for {n}?", number(v)) for n, v in zip(names, values, strict=True)]
            pair = f"How much higher is the bar for {names[0]} than the bar for {names[-1]}?"
            if values[0] > values[-1]:
                found.append(Asked(pair, number(round(values[0] - values[-1], 1))))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One bar gets another height."""
        for place in shuffled(range(len(facts["values"])), rng):
            for share in shuffled([0.12, 0.22, 0.35, 0.5, 0.62, 0.75, 0.9], rng):
                value = facts["limit"] * share
                whole = facts["limit"] >= 200 or all(one == round(one) for one in facts["values"])
                value = float(round(value)) if whole else round(value, 1)
                yield changed(facts, values=replaced(facts["values"], place, value))


def extremes(
    names: Sequence[str], values: Sequence[float], clear: float, thing: str, words: tuple[str, str], about: str
) -> list[Asked]:
    """Which is the highest and which the lowest, where the second one is far enough away."""
    order = sorted(range(len(names)), key=lambda place: (-values[place], place))
    found = []
    for word, winner, second in ((words[0], order[0], order[1]), (words[1], order[-1], order[-2])):
        if abs(values[winner] - values[second]) > clear:
            found.append(Asked(f"Which {thing} is the {word}?", names[winner], tuple(names), about))
    return found


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
