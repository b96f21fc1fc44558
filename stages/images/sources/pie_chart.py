"""Pie charts of the parts of a real whole."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.bar_chart import PALETTE, extremes
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, shuffled
from contextrl_data.stages.images.sources.figure import new_axes, picture_of
from contextrl_data.stages.images.sources.tables import all_series

if TYPE_CHECKING:
    from PIL import Image

LEGEND = {"fontsize": 8, "columnspacing": 1.0, "handlelength": 1.2, "handletextpad": 0.5}
CLEAR = 4
"""Percentage points by which two slices must differ before a question compares them."""


class PieChart:
    """A fact sheet holds whole percentages that sum to 100, and the look."""

    name: ClassVar[str] = "pie_chart"
    domain: ClassVar[str] = "chart"
    licence: ClassVar[str] = "BSD-3-Clause"

    def sample(self, rng: Random) -> Facts:
        """The shares of one real whole, slices below 3 % left out."""
        series = rng.choice([one for one in all_series() if one.parts])
        kept = [(n, v) for n, v in zip(series.names, series.values, strict=True) if v >= 0.03 * sum(series.values)]
        names, values = [name for name, _ in kept], [value for _, value in kept]
        shares = [int(100 * value / sum(values)) for value in values]
        shares[shares.index(max(shares))] += 100 - sum(shares)
        return {
            "title": series.title,
            "names": names,
            "shares": shares,
            "colours": rng.sample(PALETTE, len(names)),
            "labels": rng.random() < 0.6,
            "start": rng.choice([0, 45, 90, 135, 180]),
            "size": rng.choice([[380, 340], [400, 360]]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The pie, with a legend at a fixed place."""
        figure, axes = new_axes(facts["size"], (0.06, 0.16, 0.88, 0.72))
        labels = [f"{share}%" for share in facts["shares"]] if facts["labels"] else None
        slices, *_ = axes.pie(
            facts["shares"],
            labels=labels,
            colors=facts["colours"],
            startangle=facts["start"],
            wedgeprops={"edgecolor": "white"},
        )
        axes.set_xlim(-1.3, 1.3)
        axes.set_ylim(-1.3, 1.3)
        figure.legend(slices, facts["names"], loc="lower center", ncols=3, frameon=False, **LEGEND)
        axes.set_title(facts["title"], fontsize=10)
        return picture_of(figure)

    def ask(self, facts: Facts) -> list[Asked]:
        """Extremes, majority, and the percentages where they are written."""
        names, shares = facts["names"], facts["shares"]
        about = "|".join(names)
        found = extremes(names, shares, CLEAR, "slice", ("largest", "smallest"), about) if len(names) > 1 else []
        if abs(max(shares) - 50) > CLEAR:
            words = "Does any slice take more than half of the pie?"
            found.append(Asked(words, "yes" if max(shares) > 50 else "no", ("yes", "no")))
        if facts["labels"]:
            found += [
                Asked(f"What percentage is {name}?", f"{share}%") for name, share in zip(names, shares, strict=True)
            ]
            words = f"What percentage do {names[0]} and {names[-1]} make together?"
            found += [Asked(words, f"{number(shares[0] + shares[-1])}%")] if len(names) > 2 else []
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One slice gives some of its share to another: the least that a pie can change."""
        shares = facts["shares"]
        pairs = [(one, other) for one in range(len(shares)) for other in range(len(shares)) if one != other]
        for one, other in shuffled(pairs, rng):
            for moved in shuffled([6, 11, 17, 24, 32, 41], rng):
                if shares[one] - moved >= 4:
                    given = list(shares)
                    given[one] -= moved
                    given[other] += moved
                    yield changed(facts, shares=given)
