"""Rectangles, parallelograms, trapezoids, and an L made of two rectangles, with measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, replaced, shuffled
from contextrl_data.stages.images.sources.sketch import (
    FILLS,
    INKS,
    caption,
    height_label,
    placed,
    right_angle,
    side_label,
    turned,
)

if TYPE_CHECKING:
    from PIL import Image

_SHAPES: dict[str, tuple[Point, ...]] = {
    "rectangle": ((0, 0), (1.6, 0), (1.6, 1), (0, 1)),
    "parallelogram": ((0, 0), (1.4, 0), (1.9, 1), (0.5, 1)),
    "trapezoid": ((0, 0), (1.8, 0), (1.3, 1), (0.4, 1)),
    "ell": ((0, 0), (1.7, 0), (1.7, 0.6), (0.7, 0.6), (0.7, 1.3), (0, 1.3)),
}


class Quadrilateral:
    """A fact sheet holds the kind, the drawn points and the written measures."""

    name: ClassVar[str] = "quadrilateral"
    domain: ClassVar[str] = "geometry"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A figure of one kind."""
        kind = rng.choice(sorted(_SHAPES))
        count = {"rectangle": 2, "parallelogram": 2, "trapezoid": 3, "ell": 4}[kind]
        measures = [rng.randint(3, 24) for _ in range(count)]
        if kind == "ell":
            measures = [rng.randint(10, 24), rng.randint(10, 24), rng.randint(3, 8), rng.randint(3, 8)]
        return {
            "kind": kind,
            "points": turned(_SHAPES[kind], rng, right=kind in ("parallelogram", "trapezoid")),
            "measures": measures,
            "unit": rng.choice(["cm", "cm", "m"]),
            "ink": rng.choice(INKS),
            "fill": rng.choice(FILLS),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The figure with its measures."""
        canvas = Canvas(380, 310)
        points = placed(facts["points"], 380, 296, 56)
        ink, texts = facts["ink"], [f"{value} {facts['unit']}" for value in facts["measures"]]
        canvas.polygon(points, facts["fill"], ink, 2.2)
        if facts["kind"] == "rectangle":
            right_angle(canvas, points[0], points[1], points[3], ink)
            side_label(canvas, points, points[0], points[1], texts[0])
            side_label(canvas, points, points[1], points[2], texts[1])
        elif facts["kind"] == "ell":
            for corner in range(6):
                right_angle(canvas, points[corner], points[corner - 1], points[(corner + 1) % 6], ink, 8)
            for text, side in zip(texts, ((0, 1), (5, 0), (4, 5), (1, 2)), strict=True):
                side_label(canvas, points, points[side[0]], points[side[1]], text)
        else:
            foot = (points[3][0], points[0][1])
            canvas.dashed(points[3], foot, ink)
            right_angle(canvas, foot, points[3], points[1], ink, 9)
            height_label(canvas, points, points[3], foot, texts[1])
            side_label(canvas, points, points[0], points[1], texts[0])
            if facts["kind"] == "trapezoid":
                side_label(canvas, points, points[2], points[3], texts[2])
        caption(canvas)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """Area, and perimeter where it is known. Pictures in other units are another matter: the unit alone would tell them apart."""
        return [replace(one, about=facts["unit"]) for one in self._asked(facts)]

    def _asked(self, facts: Facts) -> list[Asked]:
        kind, unit, m = facts["kind"], facts["unit"], facts["measures"]
        if kind == "rectangle":
            found = [Asked("What is the perimeter of the rectangle?", f"{2 * (m[0] + m[1])} {unit}")]
            if m[0] == m[1]:
                return [*found, Asked("Do the measures make the rectangle a square?", "yes", ("yes", "no"))]
            found.append(Asked("Do the measures make the rectangle a square?", "no", ("yes", "no")))
            return [*found, Asked("What is the area of the rectangle?", f"{m[0] * m[1]} {unit}²")]
        if kind == "parallelogram":
            return [Asked("What is the area of the parallelogram?", f"{m[0] * m[1]} {unit}²")]
        if kind == "trapezoid":
            return [Asked("What is the area of the trapezoid?", f"{number((m[0] + m[2]) * m[1] / 2)} {unit}²")]
        area = m[0] * m[3] + m[2] * (m[1] - m[3])
        return [
            Asked("What is the area of the L-shaped figure?", f"{area} {unit}²"),
            Asked("What is the perimeter of the L-shaped figure?", f"{2 * (m[0] + m[1])} {unit}"),
        ]

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One measure is another number that the figure can have."""
        measures = facts["measures"]
        for place in shuffled(range(len(measures)), rng):
            low, high = (3, 24) if facts["kind"] != "ell" else ((10, 24) if place < 2 else (3, 8))
            for value in shuffled(range(low, high + 1), rng):
                if value != measures[place]:
                    yield changed(facts, measures=replaced(measures, place, value))
