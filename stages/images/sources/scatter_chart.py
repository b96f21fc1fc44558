"""Scatter charts of real measurements, one point of which may be marked."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.bar_chart import PALETTE
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, replaced, shuffled
from contextrl_data.stages.images.sources.figure import new_axes, picture_of
from contextrl_data.stages.images.sources.tables import all_points

if TYPE_CHECKING:
    from PIL import Image

LETTERS = "ABCDEF"


class ScatterChart:
    """A fact sheet holds plain points, lettered points, the limits and the look."""

    name: ClassVar[str] = "scatter_chart"
    domain: ClassVar[str] = "chart"
    licence: ClassVar[str] = "BSD-3-Clause"

    def sample(self, rng: Random) -> Facts:
        """Points of one real cloud; a few of them get a letter."""
        cloud = rng.choice(all_points())
        known = sorted(set(zip(cloud.x, cloud.y, strict=True)))
        chosen = rng.sample(known, min(len(known), rng.choice([7, 10, 14])))
        limits = [_limits([x for x, _ in chosen]), _limits([y for _, y in chosen])]
        marked, plain = _apart([list(point) for point in chosen], limits, rng.choice([3, 4, 5]))
        return {
            "title": cloud.title,
            "axes": [cloud.x_axis, cloud.y_axis],
            "marked": marked,
            "plain": plain,
            "limits": limits,
            "colours": rng.sample(PALETTE, 2),
            "size": rng.choice([[420, 340], [400, 360]]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The chart; limits and places are those of the fact sheet."""
        figure, axes = new_axes(facts["size"], (0.15, 0.15, 0.81, 0.73))
        for points, colour, size in (
            (facts["plain"], facts["colours"][0], 28),
            (facts["marked"], facts["colours"][1], 46),
        ):
            axes.scatter([x for x, _ in points], [y for _, y in points], s=size, color=colour)
        for letter, (x, y) in zip(LETTERS, facts["marked"], strict=False):
            axes.annotate(letter, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=11, fontweight="bold")
        axes.set_xlim(*facts["limits"][0])
        axes.set_ylim(*facts["limits"][1])
        axes.set_xlabel(facts["axes"][0])
        axes.set_ylabel(facts["axes"][1])
        axes.grid(color="#e6e6e6", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.set_title(facts["title"], fontsize=10)
        return picture_of(figure)

    def ask(self, facts: Facts) -> list[Asked]:
        """Which letter lies highest, lowest, farthest right, farthest left; and pairs of letters."""
        marked = facts["marked"]
        letters = tuple(LETTERS[: len(marked)])
        found: list[Asked] = []
        if len(marked) < 2:
            return found
        for axis, words in ((1, ("highest", "lowest")), (0, ("farthest to the right", "farthest to the left"))):
            low, high = facts["limits"][axis]
            clear = 0.06 * (high - low)
            order = sorted(range(len(marked)), key=lambda place: -marked[place][axis])
            for word, winner, second in ((words[0], order[0], order[1]), (words[1], order[-1], order[-2])):
                if abs(marked[winner][axis] - marked[second][axis]) > clear:
                    found.append(
                        Asked(f"Which lettered point lies {word}?", letters[winner], letters, "".join(letters))
                    )
            if abs(marked[0][axis] - marked[1][axis]) > clear:
                word = "to the right of" if axis == 0 else "above"
                answer = "yes" if marked[0][axis] > marked[1][axis] else "no"
                found.append(Asked(f"Does point A lie {word} point B?", answer, ("yes", "no")))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One lettered point moves along one axis, to a place that no other point is near to."""
        for place in shuffled(range(len(facts["marked"])), rng):
            for axis in shuffled((0, 1), rng):
                low, high = facts["limits"][axis]
                for share in shuffled([0.06, 0.2, 0.35, 0.5, 0.65, 0.8, 0.93], rng):
                    point = replaced(facts["marked"][place], axis, round(low + (high - low) * share, 2))
                    if not self._crowded(facts, place, point):
                        yield changed(facts, marked=replaced(facts["marked"], place, point))

    def _crowded(self, facts: Facts, place: int, point: list[float]) -> bool:
        others = [*facts["plain"], *(one for n, one in enumerate(facts["marked"]) if n != place)]
        return any(_near(point, one, facts["limits"]) for one in others)


def _near(one: list[float], other: list[float], limits: list[list[float]]) -> bool:
    """Whether two points are so close that a letter beside them could mean either."""
    return all(abs(a - b) < 0.09 * (high - low) for a, b, (low, high) in zip(one, other, limits, strict=True))


def _apart(
    points: list[list[float]], limits: list[list[float]], most: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Points to give letters to, near to no other; and the others."""
    alone = [point for point in points if not any(_near(point, one, limits) for one in points if one is not point)]
    marked = alone[:most]
    return marked, [point for point in points if point not in marked]


def _limits(values: list[float]) -> list[float]:
    span = (max(values) - min(values)) or 1.0
    return [round(min(values) - 0.15 * span, 2), round(max(values) + 0.15 * span, 2)]
