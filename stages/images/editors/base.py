"""What every editor is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


class EditRefused(Exception):
    """The editor will not make this edit, however often it is asked."""


class Editor(ABC):
    """Makes several versions of one edit. Called by many threads."""

    @abstractmethod
    def edit(self, image: Image, instruction: str, seeds: Sequence[int], region: list[int] | None) -> list[Image]:
        """One picture for each seed, of any size. `region` is x0, y0, x1, y1 in pixels; None: anywhere.

        Raises:
            EditRefused: see there.
            RowFailure: the editor failed this time.
        """

    def close(self) -> None:  # noqa: B027  (most hold nothing open)
        """Give back what is held open."""
