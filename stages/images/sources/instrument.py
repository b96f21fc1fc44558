"""Measuring instruments with a reading: thermometer, measuring cylinder, dial, and a ruler along an object."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, shuffled

if TYPE_CHECKING:
    from PIL import Image

_KINDS: dict[str, tuple[int, int, int, int, str, str]] = {
    # lowest, highest, small step, labelled step, unit, what is asked
    "thermometer": (-20, 50, 2, 10, "°C", "What temperature does the thermometer show?"),
    "cylinder": (0, 100, 5, 10, "ml", "How much liquid is in the measuring cylinder?"),
    "dial": (0, 12, 1, 2, "V", "What voltage does the meter show?"),
    "ruler": (0, 12, 1, 1, "cm", "How long is the bar on the ruler?"),
}


class Instrument:
    """A fact sheet holds the instrument, its reading (a multiple of the small step) and the look."""

    name: ClassVar[str] = "instrument"
    domain: ClassVar[str] = "science"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """An instrument and what it shows."""
        kind = rng.choice(sorted(_KINDS))
        return {
            "kind": kind,
            "reading": rng.choice(_readings(kind)),
            "colour": rng.choice(["#d23f31", "#2f6fb7", "#3d9a57", "#8e4fa8", "#e08a1e"]),
            "background": rng.choice(["#ffffff", "#f3f6fa", "#faf6ee"]),
            "wide": rng.choice([0, 20, 40]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The instrument with its scale."""
        kind, wide = facts["kind"], facts["wide"]
        if kind == "dial":
            return self._dial(facts)
        if kind == "ruler":
            return self._ruler(facts)
        canvas = Canvas(200 + wide, 380, facts["background"])
        low, high, step, label, unit, _ = _KINDS[kind]
        middle, bottom, top = 90 + wide / 2, 320.0, 50.0
        half = 12 if kind == "thermometer" else 40
        level = bottom + (top - bottom) * (facts["reading"] - low) / (high - low)
        if kind == "thermometer":
            canvas.rectangle((middle - half, top - 22, middle + half, bottom + 12), "white", "#555555", 2, half)
            canvas.circle((middle, bottom + 26), 24, facts["colour"], "#555555", 2)
            canvas.rectangle((middle - 6, level, middle + 6, bottom + 26), facts["colour"])
        else:
            canvas.rectangle((middle - half, level, middle + half, bottom), facts["colour"])
            canvas.line([(middle - half, top - 18), (middle - half, bottom)], "#555555", 2.5)
            canvas.line([(middle + half, top - 18), (middle + half, bottom)], "#555555", 2.5)
            canvas.rectangle((middle - half - 14, bottom, middle + half + 14, bottom + 12), "#888888")
        for value in range(low, high + 1, step):
            y = bottom + (top - bottom) * (value - low) / (high - low)
            canvas.line([(middle + half, y), (middle + half + (14 if value % label == 0 else 8), y)], "#222222", 1.4)
            if value % label == 0:
                canvas.text((middle + half + 19, y), str(value), 12, anchor="lm")
        canvas.text((middle + half + 24, 20), unit, 13, face="bold")
        return canvas.picture()

    def _dial(self, facts: Facts) -> Image.Image:
        low, high, step, label, unit, _ = _KINDS["dial"]
        canvas = Canvas(300 + facts["wide"], 230, facts["background"])
        middle = (150 + facts["wide"] / 2, 180.0)
        canvas.slice(middle, 150, 180, 360, "white")
        canvas.arc(middle, 150, 180, 360, "#333333", 2.5)
        canvas.line([(middle[0] - 150, middle[1]), (middle[0] + 150, middle[1])], "#333333", 2.5)
        for value in range(low, high + 1, step):
            outer, inner = _on(middle, 138, value, high), _on(middle, 126 if value % label else 120, value, high)
            canvas.line([outer, inner], "#222222", 1.6)
            if value % label == 0:
                canvas.text(_on(middle, 104, value, high), str(value), 13)
        canvas.text((middle[0], middle[1] - 45), unit, 17, face="bold")
        canvas.line([middle, _on(middle, 118, facts["reading"], high)], facts["colour"], 3)
        canvas.circle(middle, 9, "#333333")
        return canvas.picture()

    def _ruler(self, facts: Facts) -> Image.Image:
        _, high, _, _, unit, _ = _KINDS["ruler"]
        canvas = Canvas(440, 150 + facts["wide"], facts["background"])
        top, left, cell = 80.0 + facts["wide"], 24.0, 32.0
        canvas.rectangle((left, top - 38, left + cell * facts["reading"], top - 10), facts["colour"], "#333333", 1.5)
        canvas.rectangle((left - 10, top, left + cell * high + 14, top + 48), "#f5deb3", "#8a6d3b", 1.5)
        for tick in range(high * 10 + 1):
            height = 18 if tick % 10 == 0 else 13 if tick % 5 == 0 else 7
            canvas.line([(left + cell * tick / 10, top), (left + cell * tick / 10, top + height)], "#333333", 1)
        for value in range(high + 1):
            canvas.text((left + cell * value, top + 29), str(value), 11)
        canvas.text((left + cell * high, top + 42), unit, 9)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """The reading, and the reading after a rise or against a bound."""
        kind, reading = facts["kind"], facts["reading"]
        low, high, _, label, unit, words = _KINDS[kind]
        found = [Asked(words, f"{reading} {unit}")]
        bound = (low + high) // 2 // label * label
        if reading != bound:
            thing = {"cylinder": "Is the liquid level above", "ruler": "Is the bar longer than"}.get(
                kind, "Is the reading above"
            )
            answer = "yes" if reading > bound else "no"
            found.append(Asked(f"{thing} {bound} {unit}?", answer, ("yes", "no")))
        if kind == "cylinder" and reading <= 80:
            found.append(Asked("How much liquid is there after 20 ml more are poured in?", f"{reading + 20} ml"))
        if kind == "thermometer":
            found.append(Asked("How warm is it after the temperature falls by 10 degrees?", f"{reading - 10} °C"))
            state = "solid" if reading < 0 else "liquid"
            if reading:
                found.append(Asked("Is water at this temperature solid or liquid?", state, ("solid", "liquid")))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """Another reading."""
        for reading in shuffled(_readings(facts["kind"]), rng):
            if reading != facts["reading"]:
                yield changed(facts, reading=reading)


def _readings(kind: str) -> list[int]:
    low, high, step, *_ = _KINDS[kind]
    return list(range(low + step, high, step))


def _on(middle: Point, radius: float, value: float, high: float) -> Point:
    angle = math.pi * (1 - value / high)
    return middle[0] + radius * math.cos(angle), middle[1] - radius * math.sin(angle)
