"""Grids of cells, some of them shaded: fractions, percentages, counts by colour."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, replaced, shuffled

if TYPE_CHECKING:
    from PIL import Image

SHADES = {"blue": "#3b78c3", "red": "#cf4a3c", "green": "#4a9d5b", "orange": "#ec973b"}


class FractionGrid:
    """A fact sheet holds the colour of every cell, "" for a plain one."""

    name: ClassVar[str] = "fraction_grid"
    domain: ClassVar[str] = "math"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A grid with cells of one or two colours, in a heap or scattered."""
        columns, rows = rng.choice([(4, 2), (5, 2), (4, 3), (5, 4), (4, 4), (6, 4), (5, 5)])
        count = columns * rows
        colours = rng.sample(sorted(SHADES), 2)
        first = rng.randint(1, count - 3)
        second = rng.randint(0, (count - first) // 2) if rng.random() < 0.6 else 0
        cells = [colours[0]] * first + [colours[1]] * second + [""] * (count - first - second)
        if rng.random() < 0.6:
            rng.shuffle(cells)
        return {"columns": columns, "colours": colours, "cells": cells, "cell": rng.choice([40, 46, 52])}

    def draw(self, facts: Facts) -> Image.Image:
        """The cells, row by row."""
        columns, cell = facts["columns"], facts["cell"]
        rows = len(facts["cells"]) // columns
        canvas = Canvas(columns * cell + 48, rows * cell + 48, "#fafafa", scale=2)
        for place, colour in enumerate(facts["cells"]):
            x, y = 24 + place % columns * cell, 24 + place // columns * cell
            canvas.rectangle((x, y, x + cell, y + cell), SHADES.get(colour, "#ffffff"), "#333333", 1.5)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """Counts, the fraction in lowest terms, the percentage where it is whole, and which colour leads."""
        cells, (one, other) = facts["cells"], facts["colours"]
        count, total = cells.count(one), len(cells)
        found = [
            Asked(f"How many cells are {one}?", str(count)),
            Asked("How many cells are white?", str(cells.count(""))),
        ]
        part = math.gcd(count, total)
        if 0 < count < total:
            words = f"What fraction of the cells is {one}, in lowest terms?"
            found.append(Asked(words, f"{count // part}/{total // part}"))
        if 100 * count % total == 0:
            found.append(Asked(f"What percentage of the cells is {one}?", f"{number(100 * count / total)}%"))
        if cells.count(other):
            first, second = count, cells.count(other)
            if first != second:
                words = f"Are there more {one} cells or more {other} cells?"
                found.append(Asked(words, one if first > second else other, (one, other)))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One cell gets another colour; two cells where one is not enough to turn a comparison."""
        cells = facts["cells"]
        colours = ["", *facts["colours"]]
        single = [(place, colour) for place in range(len(cells)) for colour in colours if colour != cells[place]]
        for place, colour in shuffled(single, rng):
            yield changed(facts, cells=replaced(cells, place, colour))
