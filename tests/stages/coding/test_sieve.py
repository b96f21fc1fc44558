"""The sieve may take a text for one that quotes an edited line; it may never miss one."""

from __future__ import annotations

import pytest
from coding_rows import BUGS, buggy, fix_patch
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.coding.patches import parse_patch
from contextrl_data.stages.coding.regions import Regions
from contextrl_data.stages.coding.sieve import Sieve

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
"""
PATCHES = [*map(fix_patch, BUGS), ODD]
LINES = sorted({line[1:] for patch in PATCHES for line in patch.split("\n") if line[:1] in ("+", "-", " ")})
WORDS = sorted({word for line in LINES for word in line.split()})
pieces = st.sampled_from([*LINES, *WORDS, "12:", "  7\t", "+", "-", "> ", "E   ", ">>> ", "\u2003", "é", "1", "."])
texts = st.lists(st.tuples(pieces, st.sampled_from(["", " ", "\n", "\n    ", "\t"])).map("".join), max_size=12).map(
    "".join
)


@settings(max_examples=400)
@given(shown=st.lists(texts, min_size=1, max_size=5), patch=st.sampled_from(PATCHES))
def test_one_look_at_all_texts_masks_what_a_careful_look_at_each_does(shown: list[str], patch: str) -> None:
    regions = Regions.of(parse_patch(patch))
    for code in (True, False):
        expected = [Regions.of(parse_patch(patch)).mask(text, code) for text in shown]
        assert regions.mask_all(shown, [code] * len(shown)) == expected


@pytest.mark.parametrize("bug", BUGS)
def test_texts_that_quote_nothing_stay(bug: str) -> None:
    good, bad = BUGS[bug]
    shown = ["nothing of the kind\n" * 50, "", buggy(bug), "é → ☃ " * 40, f"prose with `{bad.strip()}` in it", "\n\n"]
    masked = Regions.of(parse_patch(fix_patch(bug))).mask_all(shown, [False] * 6)
    assert [number for number, (one, other) in enumerate(zip(shown, masked, strict=True)) if one != other] == [2, 4]
    assert Sieve([good, bad], 12).covered([]).tolist() == []
    assert Sieve([good, bad], 12).covered(["", f"  {bad}"]).tolist() == [0, len("".join(bad.split()))]
    assert Sieve([], 12).covered(shown).tolist() == [0] * 6
