"""Small scenes of shapes: what there is, how many, of which colour and size, and where.

They stand where photographs would: the questions are those that are asked of natural images, the pictures are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, replaced, shuffled

if TYPE_CHECKING:
    from PIL import Image

COLOURS = {
    "red": "#d63a2f",
    "blue": "#2f66c4",
    "green": "#3a9a4c",
    "yellow": "#f2c927",
    "purple": "#8a46b0",
    "orange": "#f08a24",
    "brown": "#83522c",
    "pink": "#ee86b4",
}
SHAPES = ("ball", "box", "cone", "star", "house", "tree", "flower", "car")
GRID = (5, 4)
SIZES = {"small": 19, "large": 30}


class Scene:
    """A fact sheet holds the ground and a list of objects: shape, colour, size and cell of a loose grid."""

    name: ClassVar[str] = "scene"
    domain: ClassVar[str] = "natural"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """Three to eight objects in cells of their own."""
        count = rng.choice([3, 4, 5, 6, 7, 8])
        cells = rng.sample(range(GRID[0] * GRID[1]), count)
        shapes = rng.sample(SHAPES, rng.choice([2, 3, 4]))
        colours = rng.sample(sorted(COLOURS), rng.choice([2, 3, 4]))
        return {
            "sky": rng.choice(["#dcebf7", "#f7efe0", "#e8e4f3", "#e4f1ea"]),
            "ground": rng.choice(["#b9d7a4", "#d9c7a1", "#c6c9cf", "#e6d5c3"]),
            "horizon": rng.choice([90, 120, 150]),
            "objects": [
                {
                    "shape": rng.choice(shapes),
                    "colour": rng.choice(colours),
                    "size": rng.choice(sorted(SIZES)),
                    "cell": cell,
                    "shift": [rng.randint(-7, 7), rng.randint(-5, 5)],
                }
                for cell in sorted(cells)
            ],
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The ground, then the objects from back to front."""
        canvas = Canvas(400, 320, facts["sky"])
        canvas.rectangle((0, facts["horizon"], 400, 320), facts["ground"])
        for one in facts["objects"]:
            _object(canvas, one["shape"], _place(one), SIZES[one["size"]], COLOURS[one["colour"]])
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """Counts, colours of what is there once, presence, and which of two stands farther left."""
        objects = facts["objects"]
        found = [Asked("How many objects are there in the picture?", str(len(objects)))]
        for shape in SHAPES:
            group = [one for one in objects if one["shape"] == shape]
            if group:
                found.append(Asked(f"How many {_plural(shape)} are there?", str(len(group))))
            if len(group) == 1:
                found.append(Asked(f"What colour is the {shape}?", group[0]["colour"], tuple(sorted(COLOURS))))
                found.append(Asked(f"Is the {shape} small or large?", group[0]["size"], ("small", "large")))
        for colour in sorted(COLOURS):
            count = sum(one["colour"] == colour for one in objects)
            if count:
                found.append(Asked(f"How many {colour} objects are there?", str(count)))
        alone = [one for one in objects if sum(o["shape"] == one["shape"] for o in objects) == 1]
        for one in alone:
            for other in alone:
                if one["shape"] < other["shape"] and abs(_place(one)[0] - _place(other)[0]) > 30:
                    words = f"Is the {one['shape']} to the left or to the right of the {other['shape']}?"
                    answer = "left" if _place(one)[0] < _place(other)[0] else "right"
                    found.append(Asked(words, answer, ("left", "right")))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One object gets another colour, size, shape or place, goes, or comes."""
        objects = facts["objects"]
        free = sorted(set(range(GRID[0] * GRID[1])) - {one["cell"] for one in objects})
        found: list[list[Any]] = []
        for place, one in enumerate(objects):
            found += [replaced(objects, place, {**one, "colour": c}) for c in sorted(COLOURS) if c != one["colour"]]
            found += [replaced(objects, place, {**one, "size": s}) for s in sorted(SIZES) if s != one["size"]]
            found += [replaced(objects, place, {**one, "shape": s}) for s in SHAPES if s != one["shape"]]
            found += [replaced(objects, place, {**one, "cell": cell}) for cell in shuffled(free, rng)[:4]]
            if len(objects) > 2:
                found += [[*objects[:place], *objects[place + 1 :]]] * 6
            found += [[*objects, {**one, "cell": cell}] for cell in shuffled(free, rng)[:4]]
        for some in shuffled(found, rng):
            yield changed(facts, objects=sorted(some, key=lambda one: int(one["cell"])))


def _place(one: dict[str, Any]) -> Point:
    column, row = one["cell"] % GRID[0], one["cell"] // GRID[0]
    return 40 + 80 * column + one["shift"][0], 44 + 76 * row + one["shift"][1]


def _plural(shape: str) -> str:
    return f"{shape}es" if shape == "box" else f"{shape}s"


def _object(canvas: Canvas, shape: str, place: Point, size: float, colour: str) -> None:
    x, y = place
    edge = "#2b2b2b"
    if shape == "ball":
        canvas.circle(place, size, colour, edge)
        canvas.circle((x - size * 0.35, y - size * 0.35), size * 0.2, "#ffffff")
    elif shape == "box":
        canvas.rectangle((x - size, y - size, x + size, y + size), colour, edge, 2)
        canvas.line([(x - size, y - size * 0.4), (x + size, y - size * 0.4)], edge, 1.5)
    elif shape == "cone":
        canvas.polygon([(x, y - size), (x + size, y + size), (x - size, y + size)], colour, edge)
    elif shape == "star":
        canvas.polygon(_star(place, size * 1.1), colour, edge)
    elif shape == "house":
        canvas.rectangle((x - size * 0.9, y - size * 0.2, x + size * 0.9, y + size), colour, edge, 2)
        canvas.polygon([(x, y - size), (x + size, y - size * 0.2), (x - size, y - size * 0.2)], "#5a5a5a", edge)
        canvas.rectangle((x - size * 0.2, y + size * 0.3, x + size * 0.2, y + size), "#f5f0e6", edge, 1)
    elif shape == "tree":
        canvas.rectangle((x - size * 0.15, y + size * 0.1, x + size * 0.15, y + size), "#6b4a2b")
        canvas.circle((x, y - size * 0.3), size * 0.7, colour, edge)
    elif shape == "flower":
        canvas.line([(x, y), (x, y + size)], "#3f7a35", 3)
        for petal in range(6):
            angle = math.pi / 3 * petal
            canvas.circle(
                (x + size * 0.45 * math.cos(angle), y - size * 0.3 + size * 0.45 * math.sin(angle)), size * 0.3, colour
            )
        canvas.circle((x, y - size * 0.3), size * 0.25, "#fff3b0")
    else:
        canvas.rectangle((x - size * 0.55, y - size * 0.6, x + size * 0.55, y), "#dfe9f2", edge, 1.5, 4)
        canvas.rectangle((x - size, y - size * 0.15, x + size, y + size * 0.5), colour, edge, 2, 4)
        for side in (-1, 1):
            canvas.circle((x + side * size * 0.55, y + size * 0.5), size * 0.25, "#222222")


def _star(place: Point, size: float) -> list[Point]:
    found = []
    for corner in range(10):
        radius = size if corner % 2 == 0 else size * 0.45
        angle = math.pi * (corner / 5 - 0.5)
        found.append((place[0] + radius * math.cos(angle), place[1] + radius * math.sin(angle)))
    return found
