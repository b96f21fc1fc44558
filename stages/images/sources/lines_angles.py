"""Angles at lines: two parallels and a transversal, angles on a straight line, vertical angles, rays from a point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, replaced, shuffled
from contextrl_data.stages.images.sources.sketch import INKS, angle_label, caption

if TYPE_CHECKING:
    from PIL import Image

MIDDLE = (180.0, 150.0)
_SLANT = 62


class LinesAngles:
    """A fact sheet holds the kind, where the unknown angle stands, and the written angles."""

    name: ClassVar[str] = "lines_angles"
    domain: ClassVar[str] = "geometry"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A figure of one kind."""
        kind = rng.choice(["parallels", "straight", "vertical", "full"])
        measures = [rng.randint(35, 80)]
        if kind == "straight":
            measures = [rng.randint(30, 70), rng.randint(30, 70)]
        if kind == "full":
            measures = [rng.randint(70, 130), rng.randint(70, 130)]
        return {
            "kind": kind,
            "turn": rng.choice([0, 0, 12, -15, 25]),
            "unknown": rng.choice(["corresponding", "alternate", "interior"]) if kind == "parallels" else "",
            "measures": measures,
            "ink": rng.choice(INKS),
            "marks": rng.choice(["#a04000", "#1f5c3a", "#1a1a1a"]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The lines with the written angles, and x where one is asked for."""
        canvas = Canvas(360, 310)
        ink, marks, turn = facts["ink"], facts["marks"], facts["turn"]
        texts = [f"{value}°" for value in facts["measures"]]
        if facts["kind"] == "parallels":
            self._parallels(canvas, facts, texts[0])
        elif facts["kind"] == "vertical":
            arms = [_ray(MIDDLE, turn + angle) for angle in (0, 180, _SLANT, 180 + _SLANT)]
            canvas.line(arms[:2], ink, 2)
            canvas.line(arms[2:], ink, 2)
            angle_label(canvas, MIDDLE, (arms[0], arms[2]), texts[0], marks)
            angle_label(canvas, MIDDLE, (arms[1], arms[3]), "x", marks)
            angle_label(canvas, MIDDLE, (arms[2], arms[1]), "y", ink)
        else:
            angles = (0, 180, -60, -120) if facts["kind"] == "straight" else (0, -110, -230)
            low = (MIDDLE[0], MIDDLE[1] + (60 if facts["kind"] == "straight" else 0))
            rays = [_ray(low, turn + angle, 118) for angle in angles]
            for ray in rays:
                canvas.line([low, ray], ink, 2)
            straight = facts["kind"] == "straight"
            order = [rays[0], *rays[2:], rays[1]] if straight else [*rays, rays[0]]
            labels = [texts[0], "x", texts[1]] if straight else [*texts, "x"]
            for text, (one, other) in zip(labels, pairwise(order), strict=True):
                angle_label(canvas, low, (one, other), text, marks)
        caption(canvas)
        return canvas.picture()

    def _parallels(self, canvas: Canvas, facts: Facts, text: str) -> None:
        ink, marks, turn = facts["ink"], facts["marks"], facts["turn"]
        along = math.radians(turn)
        across = (-math.sin(along), math.cos(along))
        points = [(MIDDLE[0] + across[0] * 48 * side, MIDDLE[1] + across[1] * 48 * side) for side in (-1, 1)]
        shift = 48 / math.tan(math.radians(_SLANT))
        crossings = [
            (x - side * -shift * math.cos(along), y - side * -shift * math.sin(along))
            for (x, y), side in zip(points, (-1, 1), strict=True)
        ]
        for point, letter in zip(points, "mn", strict=True):
            ends = _ray(point, turn, 150), _ray(point, turn + 180, 150)
            canvas.line(list(ends), ink, 2)
            canvas.text(_ray(point, turn, 162), letter, 13, face="serif")
        canvas.line([_ray(crossings[0], turn + _SLANT + 180, 70), _ray(crossings[1], turn + _SLANT, 70)], ink, 2)
        upper, lower = crossings
        angle_label(canvas, upper, (_ray(upper, turn), _ray(upper, turn + _SLANT)), text, marks)
        arms = {
            "corresponding": (turn, turn + _SLANT),
            "alternate": (turn + 180, turn + 180 + _SLANT),
            "interior": (turn, turn + _SLANT + 180),
        }[facts["unknown"]]
        angle_label(canvas, lower, (_ray(lower, arms[0]), _ray(lower, arms[1])), "x", marks)

    def ask(self, facts: Facts) -> list[Asked]:
        """The unknown angles."""
        m = facts["measures"]
        if facts["kind"] == "parallels":
            answer = 180 - m[0] if facts["unknown"] == "interior" else m[0]
            return [Asked("Lines m and n are parallel. What is the size of the angle x?", f"{answer}°")]
        if facts["kind"] == "vertical":
            return [
                Asked("Two lines cross. What is the size of the angle x?", f"{m[0]}°"),
                Asked("Two lines cross. What is the size of the angle y?", f"{180 - m[0]}°"),
            ]
        if facts["kind"] == "straight":
            return [Asked("The three angles lie on a straight line. What is the size of x?", f"{180 - sum(m)}°")]
        return [Asked("The three angles make a full turn. What is the size of x?", f"{360 - sum(m)}°")]

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One written angle is another."""
        measures = facts["measures"]
        low, high = (70, 130) if facts["kind"] == "full" else (30, 70) if facts["kind"] == "straight" else (35, 80)
        for place in shuffled(range(len(measures)), rng):
            for value in shuffled(range(low, high + 1), rng):
                if value != measures[place]:
                    yield changed(facts, measures=replaced(measures, place, value))


def _ray(start: Point, degrees: float, length: float = 125) -> Point:
    angle = math.radians(degrees)
    return start[0] + length * math.cos(angle), start[1] + length * math.sin(angle)
