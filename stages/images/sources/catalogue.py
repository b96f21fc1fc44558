"""Every renderer by name, loaded when it is first needed: drawing needs Pillow and matplotlib, naming does not."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.images.sources.facts import Renderer

DOMAINS: dict[str, tuple[str, ...]] = {
    "geometry": ("triangle", "circle", "quadrilateral", "lines_angles", "grid_polygon"),
    "math": ("function_plot", "clock", "fraction_grid"),
    "natural": ("scene", "receipt", "notice"),
    "chart": ("bar_chart", "line_chart", "pie_chart", "scatter_chart", "data_table"),
    "science": ("instrument", "food_web"),
}
"""Domain -> its renderers: module names here, class names in capitals."""

SHARES = {"geometry": 0.46, "math": 0.17, "natural": 0.13, "chart": 0.12, "science": 0.11}
"""The paper's shares of its five domains (46.06, 17.18, 13.18, 12.28 and 11.30 % of its training set), rounded to
whole percents; the rest goes where there is room."""

NAMES = tuple(name for names in DOMAINS.values() for name in names)


@cache
def renderer(name: str) -> Renderer:
    """The renderer of a name.

    Raises:
        MissingExtra: Pillow or matplotlib is not installed.
    """
    if name not in NAMES:
        raise KeyError(name)
    try:
        module = import_module(f"contextrl_data.stages.images.sources.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("contextrl_data"):
            raise
        raise MissingExtra("images", "drawing images") from error
    found: Renderer = getattr(module, "".join(word.title() for word in name.split("_")))()
    return found
