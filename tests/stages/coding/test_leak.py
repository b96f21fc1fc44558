"""What is measured is what a plain look at each view finds, whatever the letters and wherever a view ends."""

from __future__ import annotations

from typing import Any

import plain_masking as plain
from coding_rows import BUGS, CLEAN, fix_patch, trajectory
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.coding.leak import leaks
from contextrl_data.stages.coding.longest import longest_runs
from contextrl_data.stages.coding.regions import REGION
from contextrl_data.stages.lexical import fold, folded_bytes

ODD = "--- a/o.py\n+++ b/o.py\n@@ -1,2 +1,3 @@\n-größe = naïve(wert)\n+größe = naïve(wert) → 2nd_value_of\n+x\n größe\n"
LINES = [line.strip() for bug in BUGS for line in BUGS[bug]] + [line[1:] for line in ODD.split("\n")[3:6]]
pieces = st.sampled_from(
    [*LINES, *(line[4:21] for line in LINES), *CLEAN.split("\n"), REGION, "def total(", "class Cart", ":", "2nd_value_of",
     "12amount", "total3", "_items", "\ud800", "é", "☃", "\u2003", "\xa0", "\n", " ", "\t"]
)  # fmt: skip
contents = st.lists(pieces, max_size=8).map("".join)
contexts = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["assistant", "user", "tool", "system"]), "content": contents}),
    max_size=6,
)


@given(
    patches=st.tuples(*[st.sampled_from([*map(fix_patch, BUGS), ODD, "", "no diff"])] * 2),
    runs=st.tuples(contexts, contexts),
    cuts=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    apart=st.booleans(),
    bound=st.sampled_from([1, 12, 12, 20]),
    symbols=st.lists(st.sampled_from(["", "Cart.total", "free_shipping"]), max_size=2),
)
@settings(max_examples=300, deadline=None)
def test_leaks_are_those_that_a_plain_look_finds(
    patches: tuple[str, str], runs: Any, cuts: tuple[int, int], apart: bool, bound: int, symbols: list[str]
) -> None:
    sides = [trajectory("quantity", patch=patch, edits=[{"symbol": symbol} for symbol in symbols]) for patch in patches]
    views = [{"full": run, "before_edit": run[:cut]} for run, cut in zip(runs, cuts, strict=True)]
    if apart:  # names may be masked in one view alone
        views[0]["before_edit"] = [
            {**one, "content": one["content"].replace("a", "")} for one in views[0]["before_edit"]
        ]
    expected = [plain.leak(answer, view, sides, views, bound) for answer in (0, 1) for view in ("full", "before_edit")]
    assert leaks(sides, views, bound) == expected


def test_the_longest_run_is_exact() -> None:
    assert longest_runs([fold("alpha beta gamma delta")], folded_bytes("xx beta gamma del yy"), [99, 13]) == [
        (12, 19),
        (11, 19),
    ]
    assert longest_runs(["short"], b"short", [5]) == [(0, 0)]
    assert longest_runs([], b"", [0]) == [(0, 0)]


@given(st.lists(st.text("aab é☃", max_size=24), max_size=4), st.text("aab é☃", max_size=60), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_the_longest_run_is_the_longest(lines: list[str], text: str, cut: int) -> None:
    shown, begin = fold(text), fold(text[:cut])
    sizes = [len(folded_bytes(text)), len(folded_bytes(begin))]
    expected = [plain.longest_run(lines, shown), plain.longest_run(lines, begin)]
    assert longest_runs(list(map(fold, lines)), folded_bytes(text), sizes) == expected
