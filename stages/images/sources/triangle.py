"""Triangles with measures: legs and hypotenuse, two angles and a third, base and height, an exterior angle.

The figure is a sketch, and says so: what counts is what is written at it, as in a textbook. So a changed measure
changes its label and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, shuffled
from contextrl_data.stages.images.sources.sketch import (
    FILLS,
    INKS,
    angle_label,
    caption,
    height_label,
    placed,
    right_angle,
    side_label,
    turned,
    vertex_names,
)

if TYPE_CHECKING:
    from PIL import Image

TRIPLES = tuple(
    (a, b, math.isqrt(a * a + b * b))
    for a in range(3, 41)
    for b in range(3, 41)
    if math.isqrt(a * a + b * b) ** 2 == a * a + b * b
)
_SHAPES: dict[str, list[tuple[Point, ...]]] = {
    "right": [((0, 1), (0, 0), (1.4, 0)), ((0, 1.2), (0, 0), (1, 0)), ((0, 0.8), (0, 0), (1.5, 0))],
    "angles": [((0.4, 1), (0, 0), (1.5, 0)), ((0.9, 1.1), (0, 0), (1.4, 0)), ((0.2, 0.9), (0, 0), (1.3, 0))],
    "base": [((0.5, 1), (0, 0), (1.5, 0)), ((0.9, 0.9), (0, 0), (1.4, 0))],
    "exterior": [((0.5, 1), (0, 0), (1.2, 0)), ((0.7, 0.9), (0, 0), (1.1, 0))],
}


class Triangle:
    """A fact sheet holds the kind, the drawn points and the written measures."""

    name: ClassVar[str] = "triangle"
    domain: ClassVar[str] = "geometry"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A triangle of one kind, turned and coloured at will."""
        kind = rng.choice(["right", "right", "angles", "base", "exterior"])
        side = [rng.randint(4, 30), rng.randint(4, 30)]
        if kind == "right" and rng.random() < 0.7:
            side = list(rng.choice(TRIPLES)[:2])
        return {
            "kind": kind,
            "points": turned(rng.choice(_SHAPES[kind]), rng, right=kind in ("base", "exterior")),
            "measures": [rng.randint(24, 80), rng.randint(24, 80)] if kind in ("angles", "exterior") else side,
            "unit": rng.choice(["cm", "cm", "m"]),
            "names": rng.choice(["ABC", "PQR", "XYZ"]),
            "ink": rng.choice(INKS),
            "fill": rng.choice(FILLS),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The triangle with its names and measures."""
        canvas = Canvas(360, 320)
        points = placed(facts["points"], 360, 300)
        top, corner, end = points
        ink, unit, (one, other) = facts["ink"], facts["unit"], facts["measures"]
        canvas.polygon(points, facts["fill"], ink, 2.2)
        vertex_names(canvas, points, facts["names"])
        if facts["kind"] == "right":
            right_angle(canvas, corner, top, end, ink)
            side_label(canvas, points, top, corner, f"{one} {unit}")
            side_label(canvas, points, corner, end, f"{other} {unit}")
        elif facts["kind"] == "base":
            foot = (top[0], corner[1])
            canvas.dashed(top, foot, ink)
            height_label(canvas, points, top, foot, f"{one} {unit}")
            side_label(canvas, points, corner, end, f"{other} {unit}")
        else:
            angle_label(canvas, top, (corner, end), f"{one}°", ink)
            angle_label(canvas, corner, (top, end), f"{other}°", ink)
            if facts["kind"] == "exterior":
                far = (end[0] + (end[0] - corner[0]) * 0.35, end[1])
                canvas.line([end, far], ink, 2.2)
                angle_label(canvas, end, (top, far), "x", ink)
            else:
                angle_label(canvas, end, (top, corner), "x", ink)
        caption(canvas)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """Area and hypotenuse, the missing angle, and what the measures say about the kind of triangle. Pictures in other units are another matter: the unit alone would tell them apart."""
        return [replace(one, about=facts["unit"]) for one in self._asked(facts)]

    def _asked(self, facts: Facts) -> list[Asked]:
        (one, other), unit = facts["measures"], facts["unit"]
        square = f"{unit}²"
        if facts["kind"] == "right":
            found = [Asked("What is the area of the right triangle?", f"{number(one * other / 2)} {square}")]
            whole = math.isqrt(one * one + other * other)
            if whole * whole == one * one + other * other:
                found.append(Asked("How long is the hypotenuse of the right triangle?", f"{whole} {unit}"))
                total = one + other + whole
                found.append(Asked("What is the perimeter of the right triangle?", f"{total} {unit}"))
            return found
        if facts["kind"] == "base":
            return [Asked("What is the area of the triangle?", f"{number(one * other / 2)} {square}")]
        if facts["kind"] == "exterior":
            return [Asked("What is the size of the exterior angle x?", f"{one + other}°")]
        third = 180 - one - other
        largest = max(one, other, third)
        kind = "right" if largest == 90 else "obtuse" if largest > 90 else "acute"
        return [
            Asked("What is the size of the angle x in the triangle?", f"{third}°"),
            Asked("Is the triangle acute, right or obtuse?", kind, ("acute", "right", "obtuse")),
        ]

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One measure is another number."""
        one, other = facts["measures"]
        if facts["kind"] in ("angles", "exterior"):
            values = shuffled(range(20, 100), rng)
            pairs = [(value, other) if rng.random() < 0.5 else (one, value) for value in values]
            yield from (changed(facts, measures=list(pair)) for pair in pairs if sum(pair) <= 155)
            return
        partners = [[a, b] for a, b, _ in TRIPLES if (a == one) != (b == other)] if facts["kind"] == "right" else []
        plain = [[one, value] for value in range(3, 41)] + [[value, other] for value in range(3, 41)]
        for measures in [*shuffled(partners, rng), *shuffled(plain, rng)]:
            if measures != [one, other]:
                yield changed(facts, measures=measures)
