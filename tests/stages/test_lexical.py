"""Text without white space, however much of it and whatever its letters."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.lexical import fold, folded_bytes, folded_lines, identifiers, names_in

BLANKS = [chr(code) for code in range(sys.maxunicode) if chr(code).isspace()]
texts = st.lists(
    st.sampled_from([*BLANKS, "\n", "\ud800", "é", "☃", "\U0001f600"]) | st.text("abc =(", max_size=40), max_size=30
).map("".join)


@given(text=texts)
def test_no_white_space_is_left_and_nothing_else_is_lost(text: str) -> None:
    for longer in (text, text * 8):
        assert fold(longer) == "".join(longer.split())
        assert folded_bytes(longer) == "".join(longer.split()).encode("utf-8", "surrogatepass")
        assert folded_bytes(longer, line_ends=True).split(b"\n") == [folded_bytes(line) for line in longer.split("\n")]
        assert folded_lines(longer.split("\n")) == ["".join(line.split()) for line in longer.split("\n")]


def test_no_lines_stay_no_lines() -> None:
    assert folded_lines([]) == []


@given(text=st.text("abcd_12 é.\n\ud800", max_size=80), wanted=st.text("abcd_12 ", max_size=60))
def test_names_are_found_as_if_all_were_listed(text: str, wanted: str) -> None:
    names = identifiers(wanted) | identifiers(text[:20])
    assert names_in(text, names) == identifiers(text) & names
