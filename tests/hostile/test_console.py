"""Text from data on a terminal: rich's markup and escape sequences in it are shown, and do nothing."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from contextrl_data.pipeline.console import console, harmless, say
from contextrl_data.pipeline.manifest import Manifest
from contextrl_data.pipeline.progress import LiveProgress, PlainProgress, Progress, StageProgress
from contextrl_data.pipeline.stage import Drop, Fail

MARKUP = "[red]x[/red] [link=http://127.0.0.1:9]y[/link] [/] [bold"
ESCAPES = [
    "\x1b[2J",  # clears the screen
    "\x1b]0;owned\x07",  # retitles the window
    "\x1b]52;c;b3duZWQ=\x07",  # writes to the clipboard
    "\x1b]8;;http://127.0.0.1:9\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[8mhidden\x1b[0m",
    "\x9b2J",  # the same in one character
    "\rerased",
    "\b\b\b\bback",
    "\x00\x07\x7f",
    "\u202etxt.exe",
    "\u2066isolated\u2069",
    "a\u2028b",
]
STEERING = {*map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u202e", "\u2066", "\u2069", "\u2028"}


def printed(*, terminal: bool) -> tuple[io.StringIO, object]:
    out = io.StringIO()
    return out, console(file=out, force_terminal=terminal, width=200, color_system="truecolor" if terminal else None)


@pytest.mark.parametrize("text", ESCAPES)
def test_escape_sequences_are_shown_as_signs(text: str) -> None:
    out, made = printed(terminal=False)
    table = Table(text, box=None)
    table.add_row(Text(text))
    for thing in (Text(text), Text(text, style="red"), text, table):
        made.print(thing, soft_wrap=True)  # type: ignore[attr-defined]
    assert not STEERING.difference("\n") & set(out.getvalue())


def test_a_terminal_gets_richs_own_sequences_and_no_others() -> None:
    out, made = printed(terminal=True)
    made.print(Text("name: \x1b[2J\x1b]0;owned\x07", style="red"))  # type: ignore[attr-defined]
    shown = out.getvalue()
    assert "\x1b[31m" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b]0" not in shown
    assert "␛[2J" in shown


@given(st.text())
def test_nothing_steers_and_ordinary_text_stays(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert not STEERING.difference("\n\t") & set(shown)
    shown.encode()
    ordinary = "".join(letter for letter in text if letter.isprintable())
    assert harmless(ordinary) == ordinary


def ran(progress: Progress, words: str) -> None:
    """A stage with hostile reasons and boundaries from its start to its end."""
    with progress:
        stage: StageProgress = progress.begin("read", 3)
        stage.count(Drop(words))
        stage.count(Fail(words, words))
        progress.note(words)
        manifest = Manifest.model_construct(
            kept=1, cost=0.0, rows_out=1, dropped={words: 1}, failed={words: 1}, seconds=1.0
        )
        progress.end(stage, manifest)


@pytest.mark.parametrize("kind", [PlainProgress, LiveProgress])
def test_reasons_with_markup_and_escapes_are_text(kind: type[PlainProgress | LiveProgress]) -> None:
    out, made = printed(terminal=kind is LiveProgress)
    ran(kind(made), MARKUP + ESCAPES[1])  # type: ignore[arg-type]
    shown = out.getvalue()
    assert MARKUP[:12] in shown
    assert "\x1b]0;" not in shown
    assert "\x1b]8;" not in shown


def test_plain_lines_are_clean_too(capsys: pytest.CaptureFixture[str]) -> None:
    say(ESCAPES[1] + MARKUP)
    say(ESCAPES[0], err=True)
    told = capsys.readouterr()
    assert told.out == f"␛]0;owned␇{MARKUP}\n"
    assert told.err == "␛[2J\n"


def test_a_command_that_fails_prints_no_escape_of_its_input(tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07[red]x[/red]"
    done = subprocess.run(
        [sys.executable, "-m", "contextrl_data.pipeline.cli", "report", f"{tmp_path}/{name}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "\x1b" not in done.stdout + done.stderr
    assert "[red]x[/red]" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_prints_past_it() -> None:
    """Rich's own console and bare prints are left to what holds nothing of data."""
    root = Path(__file__).parents[2]
    past = [
        f"{path.relative_to(root)}: {line.strip()}"
        for folder in ("pipeline", "stages")
        for path in sorted((root / folder).rglob("*.py"))
        if "probes" not in path.parts
        for line in path.read_text().splitlines()
        if line.lstrip().startswith(("print(", "sys.stdout.write", "rich.print")) or " Console(" in line
    ]
    assert past == ["pipeline/console.py: print(harmless(line), file=sys.stderr if err else sys.stdout, flush=True)"]
