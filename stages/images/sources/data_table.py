"""Tables of real numbers, as a picture of their cells."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, number, replaced, shuffled
from contextrl_data.stages.images.sources.tables import Series, all_series

if TYPE_CHECKING:
    from PIL import Image

STYLES = (("#2f4b7c", "white", "#eef2f8"), ("#e8e8e8", "black", "#ffffff"), ("#3b6e4f", "white", "#f0f6f1"))


class DataTable:
    """A fact sheet holds the row names, the column heads and the cells."""

    name: ClassVar[str] = "data_table"
    domain: ClassVar[str] = "chart"
    licence: ClassVar[str] = "BSD-3-Clause"

    def sample(self, rng: Random) -> Facts:
        """Two or three real series with the same names, side by side."""
        families: dict[tuple[str, tuple[str, ...], str], list[Series]] = {}
        for one in all_series():
            families.setdefault((one.table, one.names[:8], one.axis), []).append(one)
        family = rng.choice([members for members in families.values() if len(members) > 1])
        columns = sorted(rng.sample(range(len(family)), min(len(family), rng.choice([2, 3]))))
        rows = min(len(family[0].names), rng.choice([3, 4, 5, 6, 7]))
        return {
            "title": f"{family[0].table.replace('-', ' ').capitalize()} ({family[0].axis.lower()})",
            "heads": [_head(family[column]) for column in columns],
            "rows": list(family[0].names[:rows]),
            "cells": [[family[column].values[row] for column in columns] for row in range(rows)],
            "style": rng.randrange(len(STYLES)),
            "face": rng.choice(["", "serif", "mono"]),
            "cell": [rng.choice([96, 110]), rng.choice([26, 30])],
        }

    def draw(self, facts: Facts) -> Image.Image:
        """Rows of cells; every place is fixed."""
        width, height = facts["cell"]
        head, ink, band = STYLES[facts["style"]]
        names = 16 + round(max(Canvas(1, 1).text_width(name, 12, facts["face"]) for name in facts["rows"]))
        total = names + width * len(facts["heads"]) + 24
        canvas = Canvas(max(total, 330), 56 + height * (len(facts["rows"]) + 1), scale=2)
        canvas.text((12, 20), facts["title"], 13, anchor="lm", face="bold")
        top = 40.0
        canvas.rectangle((12, top, total - 12, top + height), head)
        for column, name in enumerate(facts["heads"]):
            canvas.text((12 + names + width * (column + 0.92), top + height / 2), name, 12, ink, "rm", facts["face"])
        for row, name in enumerate(facts["rows"]):
            y = top + height * (row + 1)
            canvas.rectangle((12, y, total - 12, y + height), band if row % 2 else "white")
            canvas.text((18, y + height / 2), name, 12, anchor="lm", face=facts["face"])
            for column, value in enumerate(facts["cells"][row]):
                place = (12 + names + width * (column + 0.92), y + height / 2)
                canvas.text(place, number(value), 12, anchor="rm", face=facts["face"])
        canvas.rectangle((12, top, total - 12, top + height * (len(facts["rows"]) + 1)), None, "#888888", 1)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """A cell, the row with the most or least in a column, a difference, and a count above a bound."""
        rows, cells = facts["rows"], facts["cells"]
        found = []
        for column, head in enumerate(facts["heads"]):
            values = [cell[column] for cell in cells]
            for word, best in (("highest", max(values)), ("lowest", min(values))):
                if values.count(best) == 1:
                    words = f"Which row has the {word} value in the column {head}?"
                    found.append(Asked(words, rows[values.index(best)], tuple(rows), "|".join(rows)))
            for row, value in zip(rows, values, strict=True):
                found.append(Asked(f"What is the value of {row} in the column {head}?", number(value)))
            found.append(
                Asked(f"What is the sum of the first two rows in the column {head}?", number(round(sum(values[:2]), 1)))
            )
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One cell holds another number of its column's kind."""
        cells = facts["cells"]
        top = max(max(row) for row in cells)
        whole = all(value == round(value) for row in cells for value in row)
        places = [(row, column) for row in range(len(cells)) for column in range(len(cells[0]))]
        for row, column in shuffled(places, rng):
            for share in shuffled([0.15, 0.4, 0.7, 0.95, 1.15], rng):
                value = round(top * share * rng.uniform(0.9, 1.1), 0 if whole else 1)
                yield changed(facts, cells=replaced(cells, row, replaced(cells[row], column, value)))


def _head(series: Series) -> str:
    """What tells this series from its family: the words after the last comma or colon, and a place name."""
    words = series.title.replace(":", ",").split(",")
    head = words[-1].strip() if len(words) > 1 else series.title.split()[-1]
    for mark in (" at ", " of "):
        if mark in words[0] and len(words) > 1:
            return f"{words[0].split(mark)[1][:8].strip()} {head}"[:14]
    return head[:14]
