"""A light reading of shell text: simple commands with their quotes and heredocs, good enough to see what writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_HEREDOC = re.compile(r"<<-?[ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|\\?([A-Za-z_][\w.-]*))")
_LEAD = re.compile(r"^(?:\s|\\\n|do\b|then\b|else\b|\{|\(|!|sudo\b|time\b|[A-Za-z_]\w*=[^\s'\"]*\s)+")
_NEXT = re.compile(r"[\\'\"#<\n;&|]")
"""What may mean something outside quotes."""
_REDIRECT = re.compile(r"(?<![<>&\d])\d?>{1,2}\|?\s*(?:'([^'\n]+)'|\"([^\"\n]+)\"|([^\s'\"|&;<>()]+))")


@dataclass(slots=True)
class Command:
    """One pipeline of a shell text, without its separators. Offsets count from the start of that text."""

    start: int
    end: int
    text: str
    bodies: list[tuple[int, int]] = field(default_factory=list)
    """Spans of its heredocs, closing word included."""

    @property
    def words(self) -> str:
        """The command without leading keywords and assignments."""
        return _LEAD.sub("", self.text)

    @property
    def targets(self) -> list[str]:
        """Files that it redirects its output into."""
        if ">" not in self.text:
            return []
        return ["".join(filter(None, match.groups())) for match in _REDIRECT.finditer(_unquoted(self.text))]


@lru_cache(maxsize=2048)
def commands(text: str) -> tuple[Command, ...]:
    """Split at `&&`, `||`, `;` and line ends outside quotes; heredoc bodies belong to the command that opens them."""
    start = position = 0
    waiting: list[tuple[Command | None, str]] = []
    open_words: list[str] = []
    pending: list[Command] = []

    def close(end: int) -> None:
        nonlocal open_words
        command = Command(start, end, text[start:end])
        waiting.extend((command, word) for word in open_words)
        open_words = []
        pending.append(command)

    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 2
        elif char in "'\"":
            position = _quote_end(text, position)
        elif char == "#" and (position == 0 or text[position - 1] in " \t\n;"):
            line_end = text.find("\n", position)
            position = len(text) if line_end < 0 else line_end
        elif char == "<" and (found := _HEREDOC.match(text, position)) and not text.startswith("<<<", position):
            open_words.append("".join(filter(None, found.groups())))
            position = found.end()
        elif char == "\n":
            close(position)
            position += 1
            for command, word in waiting:
                body_end = _heredoc_end(text, position, word)
                if command is not None:
                    command.bodies.append((position, body_end))
                position = body_end
            waiting = []
            start = position
        elif char == ";" or text.startswith(("&&", "||"), position):
            close(position)
            position += 1 if char == ";" else 2
            start = position
        else:
            found = _NEXT.search(text, position + 1)
            position = found.start() if found else len(text)
    close(len(text))
    return tuple(command for command in pending if command.text.strip())


def _quote_end(text: str, position: int) -> int:
    """Past the closing quote; an apostrophe that never closes is taken for a plain letter."""
    quote = text[position]
    end = position + 1
    while end < len(text) and text[end] != quote:
        end += 2 if quote == '"' and text[end] == "\\" else 1
    return end + 1 if end < len(text) else position + 1


def _heredoc_end(text: str, position: int, word: str) -> int:
    closing = re.compile(rf"^[ \t]*{re.escape(word)}[ \t]*\r?$\n?", re.MULTILINE)
    found = closing.search(text, position)
    return found.end() if found else len(text)


def _unquoted(text: str) -> str:
    """The text with quoted strings blanked, save those that follow a redirection."""
    return re.sub(
        r"(>\s*)?('[^']*'|\"(?:[^\"\\]|\\.)*\")",
        lambda found: found.group(0) if found.group(1) else " " * len(found.group(0)),
        text,
    )
