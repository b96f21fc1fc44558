"""What every renderer offers: a fact sheet, its picture, the questions that the facts answer, and facts to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

if TYPE_CHECKING:
    from PIL import Image

Facts: TypeAlias = dict[str, Any]
"""A fact sheet: JSON, and all that the picture depends on, limits and layout included."""


@dataclass(frozen=True)
class Asked:
    """A question that the facts answer without doubt."""

    text: str
    answer: str
    choices: tuple[str, ...] = ()
    about: str = ""
    """What the question is about beside its words (the bars' names, say): two pictures are only comparable under one
    question where this agrees too."""


class Renderer(Protocol):
    """Draws pictures of one kind from fact sheets."""

    name: ClassVar[str]
    domain: ClassVar[str]
    """natural | science | chart | math | geometry"""
    licence: ClassVar[str]
    """SPDX id of what is drawn."""

    def sample(self, rng: Random) -> Facts:
        """A new fact sheet."""
        ...

    def draw(self, facts: Facts) -> Image.Image:
        """The picture, in RGB: a function of the facts alone."""
        ...

    def ask(self, facts: Facts) -> list[Asked]:
        """Every question about the picture, with the answer computed from the facts.

        A question whose answer could be argued about (two bars of nearly one height) is left out.
        """
        ...

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """Fact sheets that differ in one fact, in an order drawn from `rng`; the layout stays as it is."""
        ...


def changed(facts: Facts, **values: Any) -> Facts:
    """The fact sheet with some facts replaced."""
    return {**facts, **values}


def replaced(values: list[Any], place: int, value: Any) -> list[Any]:
    """The list with one item replaced."""
    return [*values[:place], value, *values[place + 1 :]]


def shuffled(values: Any, rng: Random) -> list[Any]:
    """The values in an order drawn from `rng`."""
    found = list(values)
    rng.shuffle(found)
    return found


def number(value: float) -> str:
    """A number as people write it: no trailing zeros, at most four decimals."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
