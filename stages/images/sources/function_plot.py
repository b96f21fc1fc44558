"""Graphs of functions on a labelled grid: lines, parabolas, absolute values, cubics and sines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.bar_chart import PALETTE
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, replaced, shuffled
from contextrl_data.stages.images.sources.figure import new_axes, picture_of

if TYPE_CHECKING:
    from PIL import Image

REACH = 6
_RANGES: dict[str, list[tuple[float, ...]]] = {
    "line": [(-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2), (-4, -3, -2, -1, 0, 1, 2, 3, 4)],
    "parabola": [(-1, -0.5, 0.5, 1), (-3, -2, -1, 0, 1, 2, 3), (-4, -3, -2, -1, 0, 1, 2, 3, 4)],
    "absolute": [(-2, -1, 1, 2), (-3, -2, -1, 0, 1, 2, 3), (-4, -3, -2, -1, 0, 1, 2, 3)],
    "sine": [(1, 2, 3, 4), (1, 2), (-1, 0, 1)],
}
"""The values that each number of a function may take: the slope and what follows."""


class FunctionPlot:
    """A fact sheet holds the kind of function, its two or three numbers, and the look."""

    name: ClassVar[str] = "function_plot"
    domain: ClassVar[str] = "math"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A function of one kind with numbers that can be read off the grid."""
        kind = rng.choice(sorted(_RANGES))
        return {
            "kind": kind,
            "numbers": [rng.choice(values) for values in _RANGES[kind]],
            "colour": rng.choice(PALETTE),
            "size": rng.choice([[340, 340], [360, 350]]),
            "grid": rng.choice(["#dddddd", "#cfdbe8", "#e2dccb"]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The graph, from -6 to 6 on both axes."""
        figure, axes = new_axes(facts["size"], (0.04, 0.04, 0.92, 0.92))
        for spine in ("left", "bottom"):
            axes.spines[spine].set_position("zero")
        steps = [-REACH + 2 * REACH * n / 480 for n in range(481)]
        axes.plot(
            steps, [_value(facts["kind"], facts["numbers"], x) for x in steps], color=facts["colour"], linewidth=2
        )
        ticks = [n for n in range(-REACH, REACH + 1) if n]
        axes.set_xticks(ticks, [str(n) if n % 2 == 0 else "" for n in ticks], fontsize=8)
        axes.set_yticks(ticks, [str(n) if n % 2 == 0 else "" for n in ticks], fontsize=8)
        axes.set_xlim(-REACH - 0.3, REACH + 0.3)
        axes.set_ylim(-REACH - 0.3, REACH + 0.3)
        axes.grid(color=facts["grid"], linewidth=0.7)
        axes.set_axisbelow(True)
        return picture_of(figure)

    def ask(self, facts: Facts) -> list[Asked]:
        """What the graph shows at whole places inside the frame."""
        kind, numbers = facts["kind"], facts["numbers"]
        at_zero = _value(kind, numbers, 0)
        found = []
        if abs(at_zero) <= REACH and at_zero == round(at_zero):
            found.append(Asked("At which y does the graph cross the y-axis?", number(at_zero)))
        for x in (1, 2, -1):
            y = _value(kind, numbers, x)
            if abs(y) <= REACH and abs(y - round(y)) < 1e-9:
                found.append(Asked(f"What is the value of the function at x = {x}?", number(round(y))))
        if kind == "line":
            found.append(Asked("What is the slope of the line?", number(numbers[0])))
            found.append(
                Asked(
                    "Is the function increasing or decreasing?",
                    "increasing" if numbers[0] > 0 else "decreasing",
                    ("increasing", "decreasing"),
                )
            )
        elif kind in ("parabola", "absolute"):
            found.append(
                Asked("Where does the graph have its turning point?", f"({number(numbers[1])}, {number(numbers[2])})")
            )
            found.append(
                Asked(
                    "Does the graph open upwards or downwards?",
                    "upwards" if numbers[0] > 0 else "downwards",
                    ("upwards", "downwards"),
                )
            )
            zeros = 1 if numbers[2] == 0 else 2 if numbers[0] * numbers[2] < 0 else 0
            if all(abs(zero) <= REACH for zero in _zeros(kind, numbers)):
                found.append(Asked("How many zeros does the function have?", str(zeros)))
        else:
            found.append(Asked("What is the amplitude of the wave?", number(numbers[0])))
            found.append(Asked("What is the largest value that the wave reaches?", number(numbers[0] + numbers[2])))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One number of the function is another."""
        for place in shuffled(range(len(facts["numbers"])), rng):
            for value in shuffled(_RANGES[facts["kind"]][place], rng):
                if value != facts["numbers"][place]:
                    yield changed(facts, numbers=replaced(facts["numbers"], place, value))


def _value(kind: str, numbers: list[float], x: float) -> float:
    if kind == "line":
        return numbers[0] * x + numbers[1]
    if kind == "parabola":
        return numbers[0] * (x - numbers[1]) ** 2 + numbers[2]
    if kind == "absolute":
        return numbers[0] * abs(x - numbers[1]) + numbers[2]
    return numbers[0] * math.sin(numbers[1] * x) + numbers[2]


def _zeros(kind: str, numbers: list[float]) -> list[float]:
    distance = -numbers[2] / numbers[0]
    if distance < 0:
        return []
    reach = math.sqrt(distance) if kind == "parabola" else distance
    return [numbers[1] - reach, numbers[1] + reach]
