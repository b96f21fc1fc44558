"""What an error says in one line."""

from __future__ import annotations

import httpx
import pytest

from contextrl_data.pipeline.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (httpx.ReadTimeout(""), "ReadTimeout"),
        (OSError(" \n "), "OSError"),
        (ValueError(), "ValueError"),
        (ValueError("\n the first\nthe second"), "the first"),
        (RuntimeError("x" * 500), "x" * 200),
    ],
)
def test_every_error_has_a_first_line(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_a_line_can_be_shorter() -> None:
    assert first_line(RuntimeError("too long"), 3) == "too"
