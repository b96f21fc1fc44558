"""Drawing with Pillow: a canvas of more pixels than the picture, so that lines come out smooth.

The picture is the mean over blocks of `scale` x `scale` pixels. No pixel depends on what is drawn outside its block:
a changed fact changes nothing but the place where it is drawn.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = str


class Canvas:
    """All sizes and places are pixels of the finished picture."""

    def __init__(self, width: int, height: int, background: Colour = "white", scale: int = 3) -> None:
        self.width, self.height, self.scale = width, height, scale
        self._image = Image.new("RGB", (width * scale, height * scale), background)
        self._draw = ImageDraw.Draw(self._image)

    def picture(self) -> Image.Image:
        """What was drawn, in its final size."""
        return self._image.reduce(self.scale)

    def line(self, points: list[Point], colour: Colour, width: float = 1.5) -> None:
        """An open line through points."""
        self._draw.line(self._all(points), colour, self._width(width), joint="curve")

    def dashed(self, start: Point, end: Point, colour: Colour, width: float = 1.5, dash: float = 6) -> None:
        """A dashed line."""
        steps = max(2, int(math.dist(start, end) / dash))
        for step in range(0, steps, 2):
            ends = [_between(start, end, part / steps) for part in (step, step + 1)]
            self.line(ends, colour, width)

    def arrow(self, start: Point, end: Point, colour: Colour, width: float = 2, head: float = 9) -> None:
        """A line with an arrow head at its end."""
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        base = (end[0] - head * math.cos(angle), end[1] - head * math.sin(angle))
        self.line([start, base], colour, width)
        wings = [
            (base[0] + side * head / 2 * math.sin(angle), base[1] - side * head / 2 * math.cos(angle))
            for side in (1, -1)
        ]
        self.polygon([end, *wings], colour)

    def polygon(
        self, points: list[Point], fill: Colour | None, outline: Colour | None = None, width: float = 2
    ) -> None:
        """A filled or outlined polygon."""
        if fill:
            self._draw.polygon(self._all(points), fill)
        if outline:
            self.line([*points, points[0], points[1]], outline, width)

    def rectangle(
        self,
        box: tuple[float, float, float, float],
        fill: Colour | None,
        outline: Colour | None = None,
        width: float = 1.5,
        radius: float = 0,
    ) -> None:
        """A rectangle by left, top, right and bottom, with round corners where a radius is given."""
        corners = [round(value * self.scale) for value in box]
        self._draw.rounded_rectangle(
            corners, round(radius * self.scale), fill, outline, self._width(width) if outline else 0
        )

    def circle(
        self, centre: Point, radius: float, fill: Colour | None, outline: Colour | None = None, width: float = 2
    ) -> None:
        """A disc or a circle."""
        self._draw.ellipse(self._around(centre, radius), fill, outline, self._width(width) if outline else 0)

    def arc(self, centre: Point, radius: float, start: float, end: float, colour: Colour, width: float = 1.5) -> None:
        """Part of a circle, degrees clockwise from the right."""
        self._draw.arc(self._around(centre, radius), start, end, colour, self._width(width))

    def slice(self, centre: Point, radius: float, start: float, end: float, fill: Colour) -> None:
        """A slice of a disc, degrees clockwise from the right."""
        self._draw.pieslice(self._around(centre, radius), start, end, fill)

    def text(
        self, place: Point, text: str, size: float = 14, colour: Colour = "black", anchor: str = "mm", face: str = ""
    ) -> None:
        """Text at a place; `anchor` as in Pillow, `face` one of "", "bold", "mono", "serif"."""
        self._draw.text(self._point(place), text, colour, font(face, round(size * self.scale)), anchor=anchor)

    def text_width(self, text: str, size: float, face: str = "") -> float:
        """Width of a line of text."""
        return float(font(face, round(size * self.scale)).getlength(text)) / self.scale

    def _point(self, point: Point) -> tuple[int, int]:
        return round(point[0] * self.scale), round(point[1] * self.scale)

    def _all(self, points: list[Point]) -> list[tuple[int, int]]:
        return [self._point(point) for point in points]

    def _around(self, centre: Point, radius: float) -> list[int]:
        (x, y), r = self._point(centre), round(radius * self.scale)
        return [x - r, y - r, x + r, y + r]

    def _width(self, width: float) -> int:
        return max(1, round(width * self.scale))


def _between(start: Point, end: Point, part: float) -> Point:
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


@lru_cache(maxsize=256)
def font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """DejaVu, which matplotlib brings along: the same on every machine."""
    names = {"": "Sans", "bold": "Sans-Bold", "mono": "SansMono", "serif": "Serif"}
    path = font_folder() / f"DejaVu{names[face]}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def font_folder() -> Path:
    """Where matplotlib keeps its fonts."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


def png(picture: Image.Image) -> bytes:
    """The picture as PNG, without metadata: the same picture gives the same bytes."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return out.getvalue()
