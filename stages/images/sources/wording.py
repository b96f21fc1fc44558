"""A changed fact in words: what an editor is told to do so that one drawn picture becomes another.

Every function takes two fact sheets of one renderer, apart in one fact, and gives one sentence; None where words would
not say which of several like things is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from contextrl_data.stages.images.sources.facts import Facts, number

LETTERS = "ABCDEF"
KEEP = " Keep everything else exactly as it is."


def told(name: str, before: Facts, after: Facts) -> str | None:
    """The instruction that turns the picture of one fact sheet into that of another, by the renderer's name."""
    sentence = _WORDS[name](before, after)
    return None if sentence is None else sentence + KEEP


def _changed(before: Sequence[Any], after: Sequence[Any]) -> int | None:
    """The place of the only item that differs; None where that is not one item."""
    places = [place for place, (one, other) in enumerate(zip(before, after, strict=False)) if one != other]
    return places[0] if len(before) == len(after) and len(places) == 1 else None


def _label(before: Sequence[str], after: Sequence[str]) -> str | None:
    """One written measure becomes another, where only one place says it."""
    place = _changed(before, after)
    if place is None or before.count(before[place]) > 1:
        return None
    return f'Replace the label "{before[place]}" by "{after[place]}".'


def _lengths(before: Facts, after: Facts) -> str | None:
    return _label(*([f"{value} {facts['unit']}" for value in facts["measures"]] for facts in (before, after)))


def _degrees(before: Facts, after: Facts) -> str | None:
    return _label(*([f"{value}°" for value in facts["measures"]] for facts in (before, after)))


def _triangle(before: Facts, after: Facts) -> str | None:
    return (_degrees if before["kind"] in ("angles", "exterior") else _lengths)(before, after)


def _circle(before: Facts, after: Facts) -> str | None:
    kind = before["kind"]
    if kind == "inscribed":
        return _degrees(before, after)
    written = []
    for facts in (before, after):
        values, unit = facts["measures"], facts["unit"]
        written.append([f"{values[0]} {unit}", *(f"{value}°" if kind == "sector" else f"{2 * value} {unit}"
                                                for value in values[1:])])  # fmt: skip
    return _label(*written)


def _grid_polygon(before: Facts, after: Facts) -> str | None:
    place = _changed(before["points"], after["points"])
    if place is None:
        return None
    old, new = before["points"][place], after["points"][place]
    return f"Move the vertex {LETTERS[place]} from ({old[0]}, {old[1]}) to ({new[0]}, {new[1]}), with the sides at it."


def _function_plot(before: Facts, after: Facts) -> str | None:
    return f"Draw the graph of {_formula(after)} in the place of the graph of {_formula(before)}."


def _formula(facts: Facts) -> str:
    first, second, *rest = facts["numbers"]
    if facts["kind"] == "line":
        return f"y = {number(first)}x{_plus(second)}"
    inner = {"parabola": f"(x{_plus(-second)})²", "absolute": f"|x{_plus(-second)}|"}.get(
        facts["kind"], f"sin({number(second)}x)"
    )
    return f"y = {number(first)} · {inner}{_plus(rest[0])}"


def _plus(value: float) -> str:
    return "" if value == 0 else f" {'+' if value > 0 else '-'} {number(abs(value))}"


def _clock(before: Facts, after: Facts) -> str | None:
    times = [f"{facts['hour'] or 12}:{facts['minute']:02}" for facts in (before, after)]
    return f"Turn the hands of the clock so that it shows {times[1]} instead of {times[0]}."


def _fraction_grid(before: Facts, after: Facts) -> str | None:
    place = _changed(before["cells"], after["cells"])
    if place is None:
        return None
    row, column = divmod(place, before["columns"])
    colours = [facts["cells"][place] or "white" for facts in (before, after)]
    return f"Colour the {colours[0]} cell in row {row + 1}, column {column + 1} {colours[1]}."


def _scene(before: Facts, after: Facts) -> str | None:
    old = [one for one in before["objects"] if one not in after["objects"]]
    new = [one for one in after["objects"] if one not in before["objects"]]
    if len(old) > 1 or len(new) > 1 or not (old or new):
        return None
    if not new:
        return f"Remove the {_thing(old[0])} {_where(old[0])}."
    if not old:
        return f"Add a {_thing(new[0])} {_where(new[0])}."
    if old[0]["cell"] != new[0]["cell"]:
        return f"Move the {_thing(old[0])} {_where(old[0])} to another place: {_where(new[0])}."
    return f"Turn the {_thing(old[0])} {_where(old[0])} into a {_thing(new[0])}."


def _thing(one: dict[str, Any]) -> str:
    return f"{one['size']} {one['colour']} {one['shape']}"


def _where(one: dict[str, Any]) -> str:
    row, column = divmod(one["cell"], 5)
    return f"(row {row + 1} of 4 from the top, column {column + 1} of 5 from the left)"


def _receipt(before: Facts, after: Facts) -> str | None:
    if before["cash"] != after["cash"]:
        return f"Show that it was paid {'in cash' if after['cash'] else 'by card'}, not " + (
            "in cash." if before["cash"] else "by card."
        )
    if before["date"] != after["date"]:
        return f'Replace the date "{before["date"]}" by "{after["date"]}".'
    place = _changed(before["items"], after["items"])
    if place is None:
        return None
    (name, count, price), (_, more, dearer) = before["items"][place], after["items"][place]
    what = f'"{count} x {name}" into "{more} x {name}"' if count != more else f"the price of {name}"
    prices = f"from {count * price / 100:.2f} to {more * dearer / 100:.2f}"
    return f"Change {what}, its amount {prices}, and correct the sums below it."


def _notice(before: Facts, after: Facts) -> str | None:
    place = _changed(before["rows"], after["rows"])
    if place is None:
        return None
    return (
        f'In the row "{before["rows"][place][0]}", replace "{before["rows"][place][1]}" by "{after["rows"][place][1]}".'
    )


def _bar_chart(before: Facts, after: Facts) -> str | None:
    return _value(before, after, "Change the bar for {name} from {old} to {new}{label}.")


def _line_chart(before: Facts, after: Facts) -> str | None:
    return _value(before, after, "Move the point at {name} from {old} to {new}, with the line through it{label}.")


def _value(before: Facts, after: Facts, words: str) -> str | None:
    place = _changed(before["values"], after["values"])
    if place is None:
        return None
    old, new = (number(facts["values"][place]) for facts in (before, after))
    label = ", and the number written at it" if before["labels"] else ""
    return words.format(name=before["names"][place], old=old, new=new, label=label)


def _pie_chart(before: Facts, after: Facts) -> str | None:
    parts = zip(before["names"], before["shares"], after["shares"], strict=True)
    moved = [f"{name} from {old}% to {new}%" for name, old, new in parts if old != new]
    return f"Change the slices {' and '.join(moved)}."


def _scatter_chart(before: Facts, after: Facts) -> str | None:
    place = _changed(before["marked"], after["marked"])
    if place is None:
        return None
    axis = 0 if before["marked"][place][0] != after["marked"][place][0] else 1
    old, new = (number(facts["marked"][place][axis]) for facts in (before, after))
    return f"Move the point {LETTERS[place]} along the {'xy'[axis]}-axis from {old} to {new}."


def _data_table(before: Facts, after: Facts) -> str | None:
    row = _changed(before["cells"], after["cells"])
    column = None if row is None else _changed(before["cells"][row], after["cells"][row])
    if row is None or column is None:
        return None
    old, new = (number(facts["cells"][row][column]) for facts in (before, after))
    name, head = before["rows"][row], before["heads"][column]
    return f'In the row "{name}", column "{head}", replace the number {old} by {new}.'


_READINGS = {
    "thermometer": "thermometer shows {} °C", "cylinder": "measuring cylinder holds {} ml", "dial": "meter shows {} V",
    "ruler": "bar on the ruler is {} cm long",
}  # fmt: skip


def _instrument(before: Facts, after: Facts) -> str | None:
    shown = _READINGS[before["kind"]].format(after["reading"])
    return f"Change the reading so that the {shown} instead of {before['reading']}."


def _food_web(before: Facts, after: Facts) -> str | None:
    gone = [f"remove the arrow from {one} to {other}" for one, other in before["arrows"]
            if [one, other] not in after["arrows"]]  # fmt: skip
    come = [f"draw an arrow from {one} to {other}" for one, other in after["arrows"]
            if [one, other] not in before["arrows"]]  # fmt: skip
    said = " and ".join([*gone, *come])
    return f"{said[:1].upper()}{said[1:]}." if said else None


_WORDS: dict[str, Callable[[Facts, Facts], str | None]] = {
    "triangle": _triangle,
    "circle": _circle,
    "quadrilateral": _lengths,
    "lines_angles": _degrees,
    "grid_polygon": _grid_polygon,
    "function_plot": _function_plot,
    "clock": _clock,
    "fraction_grid": _fraction_grid,
    "scene": _scene,
    "receipt": _receipt,
    "notice": _notice,
    "bar_chart": _bar_chart,
    "line_chart": _line_chart,
    "pie_chart": _pie_chart,
    "scatter_chart": _scatter_chart,
    "data_table": _data_table,
    "instrument": _instrument,
    "food_web": _food_web,
}
