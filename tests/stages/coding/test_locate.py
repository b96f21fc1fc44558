"""Where a patch edits: file, function, lines, and how it is known."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from coding_rows import CLEAN, fix_patch, needs_real_runs, real_rows, said, trajectory

from contextrl_data.pipeline.stage import Drop, Keep
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.rows import LOCATED


def edits_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    outcome = Locate(LocateConfig()).process(row)
    assert isinstance(outcome, Keep)
    pa.Table.from_pylist(outcome.rows, LOCATED)
    edits: list[dict[str, Any]] = outcome.rows[0]["edits"]
    return edits


@pytest.mark.parametrize(("bug", "symbol"), [("quantity", "Cart.total"), ("shipping", "free_shipping")])
def test_the_function_is_found_by_ast_where_the_file_was_shown(bug: str, symbol: str) -> None:
    (edit,) = edits_of(trajectory(bug))
    assert (edit["file"], edit["symbol"], edit["how"]) == ("shop/cart.py", symbol, "ast")
    assert len(edit["removed"]) == len(edit["added"]) == 1


def test_a_part_of_the_file_is_enough_and_the_hunk_header_names_the_class() -> None:
    row = trajectory("quantity")
    part = "\n".join(CLEAN.replace("price * q", "price + q").split("\n")[9:15])
    row["messages"] = [
        *row["messages"][:2],
        said("", "sed -n '10,15p' shop/cart.py"),
        {"role": "user", "content": part},
    ]
    row["patch"] = fix_patch("quantity").replace("@@\n", "@@ class Cart:\n", 1)
    (edit,) = edits_of(row)
    assert (edit["symbol"], edit["how"]) == ("Cart.total", "ast")


def test_without_any_view_the_hunk_decides_and_says_so() -> None:
    (edit,) = edits_of(trajectory("quantity", messages=[]))
    assert (edit["symbol"], edit["how"]) == ("total", "hunk")
    (edit,) = edits_of(
        trajectory("quantity", messages=[], patch=fix_patch("quantity").replace("@@\n", "@@ class Cart:\n", 1))
    )
    assert (edit["symbol"], edit["how"]) == ("Cart.total", "hunk")


def test_an_added_method_belongs_to_its_class() -> None:
    patch = (
        "--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -7,5 +7,8 @@ class Cart:\n     def __init__(self, items):\n"
        "         self.items = list(items)\n \n+    def clear(self):\n+        self.items = []\n+\n"
        '     def total(self, discount=0):\n         """Sum of all prices, less the discount in percent."""\n'
    )
    row = trajectory("quantity", patch=patch)
    row["messages"][3]["content"] = CLEAN
    assert [(edit["symbol"], edit["how"]) for edit in edits_of(row)] == [("Cart", "ast")]
    assert [edit["symbol"] for edit in edits_of({**row, "messages": []})] == ["Cart"]


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (None, "no patch, nor one from its edit commands"),
        (" \n", "patch is empty"),
        ("it works now", "patch is not a diff"),
        (fix_patch("quantity").replace("shop/cart.py", "tests/test_cart.py"), "only tests edited"),
        (fix_patch("quantity").replace("cart.py", "cart.txt"), "no source file edited"),
        ("diff --git a/x.py b/x.py\nBinary files a/x.py and b/x.py differ\n", "no text lines edited"),
        ("x" * 300_000, "patch is too long"),
    ],
)
def test_what_cannot_be_an_answer_is_dropped_with_its_reason(patch: str | None, reason: str) -> None:
    assert Locate(LocateConfig()).process(trajectory("quantity", patch=patch)) == Drop(reason)


@needs_real_runs
def test_most_real_edits_are_located() -> None:
    edits = [
        edit
        for row in real_rows()
        for outcome in [Locate(LocateConfig()).process(row)]
        if isinstance(outcome, Keep)
        for edit in outcome.rows[0]["edits"]
    ]
    named = [edit for edit in edits if edit["symbol"]]
    assert len(named) > 0.85 * len(edits)
    assert sum(edit["how"] == "ast" for edit in edits) > 0.6 * len(edits)
