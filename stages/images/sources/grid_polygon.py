"""Polygons on a coordinate grid, drawn to scale: a moved vertex moves two sides."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, replaced, shuffled
from contextrl_data.stages.images.sources.sketch import INKS, vertex_names

if TYPE_CHECKING:
    from PIL import Image

SIZE, CELL, LEFT = 8, 36, 34
LETTERS = "ABCD"


class GridPolygon:
    """A fact sheet holds the vertices, whole numbers from 0 to 8, and the look."""

    name: ClassVar[str] = "grid_polygon"
    domain: ClassVar[str] = "geometry"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """Three or four vertices around a middle, far enough from each other."""
        while True:
            count = rng.choice([3, 3, 4])
            points = sorted(
                ([rng.randint(0, SIZE), rng.randint(0, SIZE)] for _ in range(count)),
                key=lambda point: math.atan2(point[1] - 4.1, point[0] - 4.2),
            )
            if _sound(points):
                break
        return {
            "points": points,
            "ink": rng.choice(INKS),
            "fill": rng.choice(["#dbe8f6", "#fbe7cf", "#dff0dd", "#f0e0f3"]),
            "grid": rng.choice(["#d5d5d5", "#c9d6e3"]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """Grid, axes and polygon."""
        side = LEFT + SIZE * CELL + 26
        canvas = Canvas(side, side)
        places = [_place(point) for point in facts["points"]]
        canvas.polygon(places, facts["fill"])
        for n in range(SIZE + 1):
            for ends in ([(n, 0), (n, SIZE)], [(0, n), (SIZE, n)]):
                canvas.line(
                    [_place(end) for end in ends], "#444444" if n == 0 else facts["grid"], 1.6 if n == 0 else 0.8
                )
            canvas.text((_place((n, 0))[0], side - 14), str(n), 11)
            canvas.text((LEFT - 18, _place((0, n))[1]), str(n), 11)
        canvas.polygon(places, None, facts["ink"], 2)
        for place in places:
            canvas.circle(place, 4, facts["ink"])
        vertex_names(canvas, places, LETTERS)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """Coordinates, area, level sides, a midpoint, a length that comes out whole."""
        points = facts["points"]
        word = "triangle" if len(points) == 3 else "quadrilateral"
        found = [
            Asked(f"What are the coordinates of point {letter}?", f"({x}, {y})")
            for letter, (x, y) in zip(LETTERS, points, strict=False)
        ]
        found.append(Asked(f"What is the area of the {word} in square units?", number(_area(points))))
        (ax, ay), (bx, by) = points[0], points[1]
        found.append(Asked("What is the midpoint of AB?", f"({number((ax + bx) / 2)}, {number((ay + by) / 2)})"))
        squared = (ax - bx) ** 2 + (ay - by) ** 2
        if math.isqrt(squared) ** 2 == squared:
            found.append(Asked("How long is AB in units?", str(math.isqrt(squared))))
        if ax != bx:
            found.append(Asked("What is the slope of the line through A and B?", _slope(by - ay, bx - ax)))
        highest = [
            letter for letter, point in zip(LETTERS, points, strict=False) if point[1] == max(y for _, y in points)
        ]
        if len(highest) == 1:
            found.append(Asked("Which vertex is the highest?", highest[0], tuple(LETTERS[: len(points)]), word))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One vertex moves to another crossing of the grid."""
        points = facts["points"]
        for place in shuffled(range(len(points)), rng):
            for x, y in shuffled([(x, y) for x in range(SIZE + 1) for y in range(SIZE + 1)], rng):
                moved = replaced(points, place, [x, y])
                if [x, y] != points[place] and math.dist((x, y), points[place]) <= 3 and _sound(moved):
                    yield changed(facts, points=moved)


def _place(point: Point | list[int]) -> Point:
    return LEFT + point[0] * CELL, 20 + (SIZE - point[1]) * CELL


def _twice_area(points: list[list[int]]) -> int:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, [*points[1:], points[0]], strict=True))


def _area(points: list[list[int]]) -> float:
    return abs(_twice_area(points)) / 2


def _sound(points: list[list[int]]) -> bool:
    """Vertices apart, every corner turning the same way (so no sides cross), and not too thin."""
    count = len(points)
    if any(math.dist(points[a], points[b]) < 2 for a in range(count) for b in range(a)):
        return False
    turns = [_twice_area([points[n - 1], points[n], points[(n + 1) % count]]) for n in range(count)]
    return all(turn > 3 for turn in turns) and _area(points) >= 4


def _slope(rise: int, run: int) -> str:
    part = math.gcd(rise, run)
    sign = "-" if rise * run < 0 else ""
    rise, run = abs(rise) // part, abs(run) // part
    return "0" if rise == 0 else f"{sign}{rise}" if run == 1 else f"{sign}{rise}/{run}"
