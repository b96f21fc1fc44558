"""Drawing with matplotlib: figures of a fixed size and layout, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

DPI = 100
STYLE = {"font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def new_axes(size: Sequence[int], place: tuple[float, float, float, float], face: str = "white") -> tuple[Any, Any]:
    """A figure of `size` (width, height) pixels and its axes at a fixed place (left, bottom, width, height, as shares).

    The place is fixed, never fitted to the labels, so that a changed number moves nothing else.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    _plain_style()
    figure = Figure((size[0] / DPI, size[1] / DPI), dpi=DPI, facecolor=face)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(place)
    axes.set_facecolor(face)
    return figure, axes


@cache
def _plain_style() -> None:
    """matplotlib's own defaults and ours, whatever a `matplotlibrc` on this machine says."""
    import matplotlib as mpl

    outside = ("backend", "interactive", "toolbar", "timezone", "webagg", "tk.", "keymap")
    plain = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith(outside)}
    mpl.rcParams.update({**plain, **STYLE})


def picture_of(figure: Any) -> Image.Image:
    """The figure as an RGB picture."""
    from PIL import Image

    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    return Image.frombuffer("RGBA", (width, height), figure.canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
