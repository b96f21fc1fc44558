"""Printed documents: appointment slips, timetables, labels, with fields to read and compare."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, replaced, shuffled

if TYPE_CHECKING:
    from PIL import Image

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_PEOPLE = ("Anna Berg", "Omar Haddad", "Li Wei", "Maria Costa", "John Carter", "Priya Nair", "Ivan Petrov", "Aiko Mori")
_TOWNS = ("Northfield", "Riverton", "Oakham", "Westport", "Millbrook", "Eastvale", "Stonebridge", "Lakeside")
_STYLES = (("#1f3f77", ""), ("#5a2d2d", "serif"), ("#22543d", ""), ("#333333", "mono"))


class Notice:
    """A fact sheet holds the kind, a title, and lines of label and value."""

    name: ClassVar[str] = "notice"
    domain: ClassVar[str] = "natural"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """An appointment or a timetable."""
        kind = rng.choice(["appointment", "timetable"])
        if kind == "appointment":
            fields = {"Name": _PEOPLE, "Day": _DAYS, "Room": tuple(map(str, range(101, 130))), "Time": _times()}
            rows = [[label, rng.choice(values)] for label, values in fields.items()]
            title = "Appointment"
        else:
            towns = rng.sample(_TOWNS, rng.choice([3, 4, 5]))
            rows = [[town, time] for town, time in zip(towns, rng.sample(_times(), len(towns)), strict=True)]
            title = "Departures"
        return {
            "kind": kind,
            "title": title,
            "rows": rows,
            "style": rng.randrange(len(_STYLES)),
            "pad": rng.choice([0, 8]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The sheet, line by line."""
        ink, face = _STYLES[facts["style"]]
        rows, height = facts["rows"], 34 + facts["pad"]
        canvas = Canvas(340, 92 + height * len(rows), "#e9e9e9", scale=2)
        canvas.rectangle((12, 12, 328, canvas.height - 12), "white", "#bbbbbb", 1)
        canvas.rectangle((12, 12, 328, 54), ink)
        canvas.text((26, 33), facts["title"], 19, "white", "lm", "bold")
        for row, (label, value) in enumerate(rows):
            y = 74 + height * (row + 0.25)
            canvas.text((28, y), label, 14, "#444444", "lm", face)
            canvas.text((312, y), value, 15, "black", "rm", face)
            canvas.line([(28, y + height / 2), (312, y + height / 2)], "#dddddd", 1)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """The fields; the first and the last departure; before or after noon."""
        rows = facts["rows"]
        if facts["kind"] == "appointment":
            known = dict(rows)
            found = [
                Asked("Who is the appointment for?", known["Name"]),
                Asked("On which day is the appointment?", known["Day"], _DAYS),
                Asked("In which room is the appointment?", known["Room"]),
                Asked("At what time is the appointment?", known["Time"]),
            ]
            half = "before" if known["Time"] < "12:00" else "after"
            if known["Time"] != "12:00":
                found.append(Asked("Is the appointment before or after noon?", half, ("before", "after")))
            return found
        order = sorted(rows, key=lambda row: str(row[1]))
        towns = tuple(town for town, _ in rows)
        about = "|".join(towns)
        found = [
            Asked("Where does the first departure of the day go to?", order[0][0], towns, about),
            Asked("Where does the last departure of the day go to?", order[-1][0], towns, about),
        ]
        early = sum(time < "12:00" for _, time in rows)
        found.append(Asked("How many departures are before noon?", str(early)))
        return found + [Asked(f"When is the departure to {town}?", time) for town, time in rows]

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One field holds another value of its kind; no two departures are at one time."""
        rows = facts["rows"]
        taken = {value for _, value in rows}
        kinds = {"Name": _PEOPLE, "Day": _DAYS, "Room": tuple(map(str, range(101, 130)))}
        options = [
            (place, value)
            for place, (label, _) in enumerate(rows)
            for value in kinds.get(label, _times())
            if value not in taken
        ]
        for place, value in shuffled(options, rng):
            yield changed(facts, rows=replaced(rows, place, [rows[place][0], value]))


def _times() -> tuple[str, ...]:
    return tuple(f"{hour:02}:{minute:02}" for hour in range(7, 20) for minute in (5, 15, 30, 40, 55))
