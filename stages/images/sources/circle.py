"""Circles with measures: radius or diameter, a sector, an inscribed angle, a tangent, a chord and its distance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, shuffled
from contextrl_data.stages.images.sources.sketch import FILLS, INKS, angle_label, caption, right_angle, side_label
from contextrl_data.stages.images.sources.triangle import TRIPLES

if TYPE_CHECKING:
    from PIL import Image

CENTRE, RADIUS = (170.0, 150.0), 104.0


class Circle:
    """A fact sheet holds the kind, the direction of what is drawn, and one or two measures."""

    name: ClassVar[str] = "circle"
    domain: ClassVar[str] = "geometry"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A circle of one kind."""
        kind = rng.choice(["radius", "diameter", "sector", "inscribed", "chord"])
        measures = {
            "radius": [rng.randint(2, 20)],
            "diameter": [2 * rng.randint(2, 20)],
            "sector": [rng.randint(2, 12), rng.choice([30, 40, 60, 90, 120, 180])],
            "inscribed": [rng.randint(25, 70)],
            "chord": list(rng.choice(TRIPLES)[:2]),
        }[kind]
        return {
            "kind": kind,
            "measures": measures,
            "turn": rng.choice([0, 30, 75, 120, 160, 210, 250, 300, 330]),
            "unit": rng.choice(["cm", "cm", "m"]),
            "ink": rng.choice(INKS),
            "fill": rng.choice(FILLS),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The circle with its measures."""
        canvas = Canvas(340, 310)
        ink, unit, measures = facts["ink"], facts["unit"], facts["measures"]
        canvas.circle(CENTRE, RADIUS, facts["fill"], ink)
        canvas.circle(CENTRE, 3, ink)
        if facts["kind"] in ("radius", "diameter"):
            start = CENTRE if facts["kind"] == "radius" else _at(facts["turn"] + 180)
            canvas.line([start, _at(facts["turn"])], ink, 2)
            side_label(canvas, [(170, 400)], start, _at(facts["turn"]), f"{measures[0]} {unit}")
        elif facts["kind"] == "sector":
            arms = _at(facts["turn"]), _at(facts["turn"] + 75)
            canvas.slice(CENTRE, RADIUS, facts["turn"], facts["turn"] + 75, "#f3c98b")
            canvas.circle(CENTRE, RADIUS, None, ink)
            canvas.line([arms[0], CENTRE, arms[1]], ink, 2)
            angle_label(canvas, CENTRE, arms, f"{measures[1]}°", ink)
            side_label(canvas, [arms[1]], CENTRE, arms[0], f"{measures[0]} {unit}")
        elif facts["kind"] == "inscribed":
            top, left, right = _at(facts["turn"]), _at(facts["turn"] + 140), _at(facts["turn"] + 220)
            canvas.line([left, top, right], ink, 2)
            canvas.line([left, CENTRE, right], "#a04000", 1.6)
            angle_label(canvas, top, (left, right), f"{measures[0]}°", ink)
            angle_label(canvas, CENTRE, (left, right), "x", "#a04000")
        else:
            self._chord(canvas, facts)
        caption(canvas)
        return canvas.picture()

    def _chord(self, canvas: Canvas, facts: Facts) -> None:
        ink, unit, (distance, half) = facts["ink"], facts["unit"], facts["measures"]
        ends = [_at(facts["turn"] + side * 66) for side in (1, -1)]
        foot = ((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2)
        canvas.line(ends, ink, 2)
        canvas.line([CENTRE, foot], ink, 1.5)
        canvas.dashed(CENTRE, ends[0], ink)
        right_angle(canvas, foot, CENTRE, ends[0], ink, 9)
        side_label(canvas, [ends[0]], CENTRE, foot, f"{distance} {unit}", 12)
        side_label(canvas, [CENTRE], ends[0], ends[1], f"{2 * half} {unit}", 12)

    def ask(self, facts: Facts) -> list[Asked]:
        """Areas and lengths in terms of π, the central angle, the radius behind a chord. Pictures in other units are another matter: the unit alone would tell them apart."""
        return [replace(one, about=facts["unit"]) for one in self._asked(facts)]

    def _asked(self, facts: Facts) -> list[Asked]:
        kind, unit, measures = facts["kind"], facts["unit"], facts["measures"]
        if kind in ("radius", "diameter"):
            radius = measures[0] / (1 if kind == "radius" else 2)
            found = [
                Asked("What is the area of the circle in terms of π?", f"{number(radius * radius)}π {unit}²"),
                Asked("What is the circumference of the circle in terms of π?", f"{number(2 * radius)}π {unit}"),
            ]
            other = ("diameter", 2 * radius) if kind == "radius" else ("radius", radius)
            return [*found, Asked(f"How long is the {other[0]} of the circle?", f"{number(other[1])} {unit}")]
        if kind == "sector":
            radius, angle = measures
            area = radius * radius * angle / 360
            found = [Asked("What fraction of the circle is the shaded sector?", _fraction(angle))]
            if area == round(area, 2):
                found.append(Asked("What is the area of the shaded sector in terms of π?", f"{number(area)}π {unit}²"))
            return found
        if kind == "inscribed":
            return [Asked("What is the size of the central angle x?", f"{2 * measures[0]}°")]
        radius = math.isqrt(measures[0] ** 2 + measures[1] ** 2)
        if radius * radius != measures[0] ** 2 + measures[1] ** 2:
            return []
        return [
            Asked("The chord and its distance from the centre are given. How long is the radius?", f"{radius} {unit}")
        ]

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One measure is another number."""
        kind, measures = facts["kind"], facts["measures"]
        options: list[list[int]]
        if kind == "chord":
            options = [[a, b] for a, b, _ in TRIPLES if (a == measures[0]) != (b == measures[1])]
        elif kind == "sector":
            options = [[value, measures[1]] for value in range(2, 13)]
            options += [[measures[0], value] for value in (30, 40, 60, 90, 120, 180)]
        else:
            options = [[value] for value in (range(25, 71) if kind == "inscribed" else range(2, 41))]
            if kind == "diameter":
                options = [[value] for value in range(4, 41, 2)]
        for option in shuffled(options, rng):
            if option != measures:
                yield changed(facts, measures=option)


def _at(degrees: float) -> Point:
    angle = math.radians(degrees)
    return CENTRE[0] + RADIUS * math.cos(angle), CENTRE[1] + RADIUS * math.sin(angle)


def _fraction(angle: int) -> str:
    part = math.gcd(angle, 360)
    return f"{angle // part}/{360 // part}"
