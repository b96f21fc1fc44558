"""Parts of geometry figures: turned points, names at vertices, labels at sides and angles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from contextrl_data.stages.images.sources.canvas import Canvas, Colour, Point

INKS = ("#1a1a1a", "#1f3f77", "#7a1f1f", "#1f5c3a")
FILLS = (None, None, "#eef4fb", "#fdf3e3", "#eff7ee", "#f6eef8")


def turned(points: Sequence[Point], rng: Random, right: bool = False) -> list[list[float]]:
    """The points, mirrored and turned at will; only mirrored where `right` angles to the frame must stay."""
    mirror, angle = rng.choice((1, -1)), 0.0 if right else math.radians(rng.choice((0, 0, 15, 40, 90, 180, 200, 270)))
    cos, sin = math.cos(angle), math.sin(angle)
    found = [(x * mirror, y) for x, y in points]
    return [[round(x * cos - y * sin, 3), round(x * sin + y * cos, 3)] for x, y in found]


def placed(points: Sequence[Sequence[float]], width: float, height: float, margin: float = 58) -> list[Point]:
    """Points with y upwards, scaled into a picture with y downwards."""
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    scale = min((width - 2 * margin) / (max(xs) - min(xs)), (height - 2 * margin) / (max(ys) - min(ys)))
    left = (width - scale * (max(xs) + min(xs))) / 2
    top = (height + scale * (max(ys) + min(ys))) / 2
    return [(left + scale * point[0], top - scale * point[1]) for point in points]


def centre_of(points: Sequence[Point]) -> Point:
    """Mean of the points."""
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def towards(start: Point, end: Point, distance: float) -> Point:
    """The point at a distance from `start` in the direction of `end`."""
    length = math.dist(start, end) or 1.0
    return (
        start[0] + (end[0] - start[0]) * distance / length,
        start[1] + (end[1] - start[1]) * distance / length,
    )


def side_label(canvas: Canvas, points: Sequence[Point], start: Point, end: Point, text: str, size: float = 13) -> None:
    """A label outside of a side's middle: far enough for its own width."""
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    dx, dy = end[1] - start[1], start[0] - end[0]
    inside = centre_of(points)
    if dx * (inside[0] - middle[0]) + dy * (inside[1] - middle[1]) > 0:
        dx, dy = -dx, -dy
    length = math.hypot(dx, dy) or 1.0
    reach = 8 + abs(dx / length) * canvas.text_width(text, size) / 2 + abs(dy / length) * size / 2
    canvas.text((middle[0] + dx / length * reach, middle[1] + dy / length * reach), text, size)


def height_label(canvas: Canvas, points: Sequence[Point], top: Point, foot: Point, text: str) -> None:
    """A label beside an upright height, on the side where the figure has more room."""
    right = centre_of(points)[0] > foot[0]
    place = (foot[0] + (6 if right else -6), top[1] + 0.68 * (foot[1] - top[1]))
    canvas.text(place, text, 13, anchor="lm" if right else "rm")


def vertex_names(canvas: Canvas, points: Sequence[Point], names: str) -> None:
    """Letters outside of the vertices."""
    inside = centre_of(points)
    for point, name in zip(points, names, strict=False):
        canvas.text(towards(point, inside, -14), name, 14, face="bold")


def right_angle(canvas: Canvas, corner: Point, one: Point, other: Point, ink: Colour, size: float = 12) -> None:
    """The small square of a right angle."""
    first, second = towards(corner, one, size), towards(corner, other, size)
    canvas.line([first, (first[0] + second[0] - corner[0], first[1] + second[1] - corner[1]), second], ink, 1.2)


def angle_label(canvas: Canvas, corner: Point, arms: tuple[Point, Point], text: str, ink: Colour) -> None:
    """An arc between two arms, and the label inside of the angle."""
    starts = [math.degrees(math.atan2(arm[1] - corner[1], arm[0] - corner[0])) for arm in arms]
    low, high = sorted(starts)
    if high - low > 180:
        low, high = high, low + 360
    canvas.arc(corner, 20, low, high, ink, 1.3)
    half = math.radians((low + high) / 2)
    reach = 37 if high - low > 45 else 46
    canvas.text((corner[0] + reach * math.cos(half), corner[1] + reach * math.sin(half)), text, 12)


def caption(canvas: Canvas) -> None:
    """Says that the labels count, not the drawing."""
    canvas.text((canvas.width / 2, canvas.height - 10), "Figure not drawn to scale", 9, "#777777")
