"""Line charts of real series over time."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.bar_chart import CLEAR, PALETTE, extremes
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, replaced, shuffled
from contextrl_data.stages.images.sources.figure import new_axes, picture_of
from contextrl_data.stages.images.sources.tables import all_series

if TYPE_CHECKING:
    from PIL import Image


class LineChart:
    """A fact sheet holds the points in order, both limits of the axis, and the look."""

    name: ClassVar[str] = "line_chart"
    domain: ClassVar[str] = "chart"
    licence: ClassVar[str] = "BSD-3-Clause"

    def sample(self, rng: Random) -> Facts:
        """Some points in a row of one real series."""
        series = rng.choice([one for one in all_series() if one.ordered])
        size = min(len(series.names), rng.choice([5, 6, 8, 12]))
        first = rng.choice([0, (len(series.names) - size) // 2, len(series.names) - size])
        values = list(series.values[first : first + size])
        span = (max(values) - min(values)) or 1.0
        bottom = 0.0 if min(values) < 0.6 * max(values) else max(0.0, min(values) - 0.4 * span)
        return {
            "title": series.title,
            "axis": series.axis,
            "names": list(series.names[first : first + size]),
            "values": values,
            "limits": [round(bottom, 2), round(max(values) + 0.35 * span, 2)],
            "labels": size <= 8 and rng.random() < 0.4,
            "marker": rng.choice(["o", "s", "^", "D"]),
            "colour": rng.choice(PALETTE),
            "size": rng.choice([[440, 320], [460, 300], [420, 340]]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The chart; limits and places are those of the fact sheet."""
        figure, axes = new_axes(facts["size"], (0.14, 0.16, 0.83, 0.72))
        names, values = facts["names"], facts["values"]
        axes.plot(range(len(names)), values, marker=facts["marker"], color=facts["colour"], linewidth=1.8, markersize=5)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.4, len(names) - 0.6)
        axes.set_ylim(*facts["limits"])
        axes.set_ylabel(facts["axis"])
        axes.grid(color="#e2e2e2", linewidth=0.7)
        if facts["labels"]:
            lift = 0.03 * (facts["limits"][1] - facts["limits"][0])
            for place, value in enumerate(values):
                axes.text(place, value + lift, number(value), ha="center", va="bottom")
        axes.set_title(facts["title"], fontsize=10)
        return picture_of(figure)

    def ask(self, facts: Facts) -> list[Asked]:
        """Extremes, rises and falls, the longest step, and values where they are written."""
        names, values = facts["names"], facts["values"]
        clear = CLEAR * (facts["limits"][1] - facts["limits"][0])
        found = extremes(names, values, clear, "point on the line", ("highest", "lowest"), "|".join(names))
        for place in range(len(names) - 1):
            step = values[place + 1] - values[place]
            if abs(step) > clear:
                words = f"Does the line rise or fall from {names[place]} to {names[place + 1]}?"
                found.append(Asked(words, "rise" if step > 0 else "fall", ("rise", "fall")))
        if abs(values[-1] - values[0]) > clear:
            words = f"Is the value at {names[-1]} above the value at {names[0]}?"
            found.append(Asked(words, "yes" if values[-1] > values[0] else "no", ("yes", "no")))
        if facts["labels"]:
            found += [Asked(f"What is the value at {n}?", number(v)) for n, v in zip(names, values, strict=True)]
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One point moves up or down."""
        low, high = facts["limits"]
        for place in shuffled(range(len(facts["values"])), rng):
            for share in shuffled([0.06, 0.2, 0.35, 0.5, 0.65, 0.8, 0.93], rng):
                value = round(low + (high - low) * share, 1)
                yield changed(facts, values=replaced(facts["values"], place, value))
