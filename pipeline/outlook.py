"""What a stage can tell of itself before it runs: the most rows that can come out, containers, and calls of a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CallsAhead:
    """Calls of a model that one row will need, as far as can be told."""

    model: str
    per_row: float
    prompt_tokens: float
    """Of one call."""
    completion_tokens: float
    """Of one call."""
    told: str
    """Where the figures come from, in a few words."""
    input_price: float | None = None
    """Dollars per million tokens, where the config names them."""
    output_price: float | None = None
    most_dollars: float | None = None
    """What the config lets one row cost at most, by the prices that are known."""
    fixed: bool = False
    """Whether the config alone decides how many calls a row makes, whatever former runs made."""
    price_setting: str = ""
    """The setting that names a price, for a model whose price nobody knows."""


@dataclass(frozen=True)
class Outlook:
    """What will become of so many rows."""

    most: float
    """Rows that can come out at most (or, for stages that multiply them, in the measure that yields are told in)."""
    exact: bool = False
    """Whether so many come out, whatever was measured."""
    guess: float | None = None
    """Share of `most` where nothing was measured; None counts all of them."""
    told: str = ""
    """Where `guess` comes from."""
    containers: float = 0.0
    calls: CallsAhead | None = None
    docker_bytes: float = 0.0
    """Images that are built, bytes, where none of them is there yet."""
    unknown: str = ""
    """What cannot be told without looking, in a few words."""
