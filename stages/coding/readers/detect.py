"""Which format a row is, by its columns alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers import columns as plain
from contextrl_data.stages.coding.readers import mini_swe_agent, nebius, openhands, swe_agent, swe_smith
from contextrl_data.stages.coding.readers.found import Found

FormatName = Literal["auto", "mini-swe-agent", "swe-agent", "nebius", "swe-smith", "openhands", "messages"]


@dataclass(frozen=True)
class Format:
    """One published format."""

    name: str
    matches: Callable[[frozenset[str]], bool]
    read: Callable[[Row, int], Found]


FORMATS = tuple(
    Format(module.NAME, module.matches, module.read)
    for module in (mini_swe_agent, nebius, swe_agent, swe_smith, openhands, plain)
)
"""In the order in which they are tried: the more a format demands, the earlier."""


def detect(columns: frozenset[str]) -> Format | None:
    """The format of rows with these columns; None where none fits."""
    return next((one for one in FORMATS if one.matches(columns)), None)


def named(name: str) -> Format:
    """A format by its name in the config."""
    return next(one for one in FORMATS if one.name == name)
