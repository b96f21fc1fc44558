"""What people see on a terminal. Text from data must not steer it: an escape sequence can retitle a window, hide lines
or put words into the clipboard, and a direction mark can make a name read as another."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_SHOWN = {
    **{code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)},  # pictures of control characters
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys((0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),  # half characters, which no terminal takes
}


def harmless(text: str) -> str:
    """The same text with every character replaced that steers a terminal or turns the direction of writing."""
    return text.translate(_SHOWN)


class SafeConsole(Console):
    """Rich's console; what it prints of data is text. Styles, tables and the live display are rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `rich.console.Console.render`; every way to print ends here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


def console(**options: Any) -> Console:
    """A console for people."""
    return SafeConsole(**options)


def say(line: str, err: bool = False) -> None:
    """One plain line, as it is, on stdout or stderr."""
    print(harmless(line), file=sys.stderr if err else sys.stdout, flush=True)
