"""One look at many texts masks what a careful look at each does: nothing is missed, and nothing more is taken."""

from __future__ import annotations

from functools import cache

import plain_masking as plain
import pytest
from coding_rows import BUGS, buggy, fix_patch
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.coding.patches import parse_patch
from contextrl_data.stages.coding.regions import Regions
from contextrl_data.stages.coding.sweep import mask_all

ODD = """\
diff --git a/odd.py b/odd.py
--- a/odd.py
+++ b/odd.py
@@ -1,5 +1,6 @@
 def naïve(x):
-    größe = 1.5e3 * naïve(x.y) → z
-    return 2
+    rate = 0x1F.real+naïve ( 3.25,"ünï" )
+    return   2
+
     else:
     pass
@@ -20,4 +21,7 @@
 )
+    import_nothing
+    )
+    else:
     x
-    pass
     ]
     y
"""
PATCHES = [*map(fix_patch, BUGS), ODD]
LINES = sorted({line[1:] for patch in PATCHES for line in patch.split("\n") if line[:1] in ("+", "-", " ")})
WORDS = sorted({word for line in LINES for word in line.split()})
MARKS = [
    "12:",
    "  7\t",
    "x/y.py:3:",
    "+",
    "-",
    "> ",
    "E   ",
    ">>> ",
    "\u2003",
    "\xa0",
    "\ud800",
    "é",
    "1",
    "٣\t",
    ".",
    "^^^",
    "\r",
]
pieces = st.sampled_from([*LINES, *LINES, *WORDS, *MARKS])
texts = st.lists(
    st.tuples(pieces, st.sampled_from(["", " ", "\n", "\n", "\n    ", "\t"])).map("".join), max_size=14
).map("".join)
regions_of = cache(lambda patch, *bounds: Regions.of(parse_patch(patch), *bounds))
BOUNDS = st.sampled_from([(12, 12), (12, 12), (3, 1), (30, 5), (8, 40)])


@settings(max_examples=300, deadline=None)
@given(
    shown=st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=6),
    patch=st.sampled_from(PATCHES),
    bounds=BOUNDS,
)
def test_one_look_at_all_texts_masks_what_a_careful_look_at_each_does(
    shown: list[tuple[str, bool]], patch: str, bounds: tuple[int, int]
) -> None:
    regions = regions_of(patch, *bounds)
    expected = [plain.mask(regions, text, code) for text, code in shown]
    assert mask_all(regions, [text for text, _ in shown], [code for _, code in shown]) == expected


@pytest.mark.parametrize("bug", BUGS)
def test_texts_that_quote_nothing_stay(bug: str) -> None:
    shown = [
        "nothing of the kind\n" * 50,
        "",
        buggy(bug),
        "é → ☃ " * 40,
        f"prose with `{BUGS[bug][1].strip()}` in it",
        "\n\n",
    ]
    masked = mask_all(Regions.of(parse_patch(fix_patch(bug))), shown, [False] * 6)
    assert [number for number, (one, other) in enumerate(zip(shown, masked, strict=True)) if one != other] == [2, 4]


def test_without_texts_or_edits_nothing_happens() -> None:
    assert mask_all(Regions.of([]), ["a = 1"], [True]) == ["a = 1"]
    assert mask_all(Regions.of(parse_patch(ODD)), [], []) == []
