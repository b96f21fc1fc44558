"""Clock faces with two hands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, shuffled

if TYPE_CHECKING:
    from PIL import Image

_ROMAN = ("XII", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI")


class Clock:
    """A fact sheet holds the hour, the minute (in steps of five) and the look."""

    name: ClassVar[str] = "clock"
    domain: ClassVar[str] = "math"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A time and a face."""
        return {
            "hour": rng.randrange(12),
            "minute": 5 * rng.randrange(12),
            "numerals": rng.choice(["arabic", "arabic", "roman", "quarters"]),
            "face": rng.choice(["#ffffff", "#fbf3df", "#e9f0f7", "#f3e9f0"]),
            "rim": rng.choice(["#222222", "#8a5a2b", "#2f4b7c", "#3b6e4f"]),
            "hands": rng.choice(["#111111", "#7a1f1f", "#1f3f77"]),
            "size": rng.choice([280, 300, 320]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The face; the hour hand moves on with the minutes."""
        size = facts["size"]
        canvas = Canvas(size, size, "#f4f4f4")
        middle, radius = (size / 2, size / 2), size * 0.44
        canvas.circle(middle, radius, facts["face"], facts["rim"], 5)
        for tick in range(60):
            length = 10 if tick % 5 == 0 else 4
            ends = [_at(middle, radius - 5 - part, tick / 60) for part in (0, length)]
            canvas.line(ends, "#333333", 2 if tick % 5 == 0 else 1)
        for hour in range(12):
            if facts["numerals"] == "quarters" and hour % 3:
                continue
            text = _ROMAN[hour] if facts["numerals"] == "roman" else str(hour or 12)
            canvas.text(_at(middle, radius - 30, hour / 12), text, size * 0.055, face="bold")
        turn = facts["hour"] / 12 + facts["minute"] / 720
        canvas.line([middle, _at(middle, radius * 0.48, turn)], facts["hands"], 6)
        canvas.line([middle, _at(middle, radius * 0.74, facts["minute"] / 60)], facts["hands"], 3)
        canvas.circle(middle, 6, facts["hands"])
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """The time, the time after a while, the minutes to the full hour."""
        hour, minute = facts["hour"], facts["minute"]
        found = [
            Asked("What time does the clock show?", _time(hour, minute)),
            Asked("What time will it be half an hour after the time shown?", _time(hour, minute + 30)),
            Asked("What time was it one hour before the time shown?", _time(hour - 1, minute)),
        ]
        if minute:
            found.append(Asked("How many minutes are left until the next full hour?", str(60 - minute)))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """Another hour, or another minute."""
        found = [{"hour": hour} for hour in range(12) if hour != facts["hour"]]
        found += [{"minute": minute} for minute in range(0, 60, 5) if minute != facts["minute"]]
        for one in shuffled(found, rng):
            yield changed(facts, **one)


def _time(hour: int, minute: int) -> str:
    hour, minute = (hour + minute // 60) % 12, minute % 60
    return f"{hour or 12}:{minute:02}"


def _at(middle: Point, radius: float, turn: float) -> Point:
    angle = 2 * math.pi * turn
    return middle[0] + radius * math.sin(angle), middle[1] - radius * math.cos(angle)
