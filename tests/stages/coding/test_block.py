"""Blocking before anything is read: cheap, and never stricter than the cascade."""

from __future__ import annotations

from typing import Any

from coding_rows import Listed, fix_patch, trajectory
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Keep, Sifted
from contextrl_data.stages.coding.block import Block, BlockConfig
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.locate import Locate, LocateConfig


def sifted(rows: Listed, **config: Any) -> Sifted:
    stage = Block(BlockConfig(**config))
    return stage.sift(rows.select(list(stage.columns)))


def test_runs_without_a_partner_end_here_with_their_reason() -> None:
    rows = Listed(
        [
            trajectory("quantity"),
            trajectory("discount"),
            trajectory("shipping", "alone", repo="acme/other"),
            trajectory("shipping", "elsewhere", patch=fix_patch("shipping").replace("shop/cart.py", "shop/other.py")),
            trajectory("shipping", "unknown", resolved=None),
            trajectory("shipping", "tests only", patch=fix_patch("shipping").replace("shop/", "tests/")),
        ]
    )
    found = sifted(rows)
    assert found.dropped == {
        "unknown": "no usable label",
        "alone": "no other run of its repository",
        "elsewhere": "no other run of its file",
    }
    assert found.funnel == [
        ("trajectories", 6),
        ("usable label", 5),
        ("runs of one repository", 4),
        ("runs of one file", 3),
    ]
    assert "unknown" not in sifted(rows, require_resolved=False).dropped


def test_a_run_whose_patch_is_rebuilt_may_edit_any_file_of_its_repository() -> None:
    rows = Listed(
        [
            trajectory("quantity", patch=None),
            trajectory("shipping", "elsewhere", patch=fix_patch("shipping").replace("shop/cart.py", "shop/other.py")),
        ]
    )
    assert sifted(rows).dropped == {}


paths = st.sampled_from(
    ["shop/cart.py", "shop/cart.py\t2026", "shop/other.py", "tests/test_cart.py", "notes.md", "/dev/null"]
)
rows_of = st.tuples(
    st.sampled_from(["quantity", "discount", "shipping"]),
    st.sampled_from(["acme/shop", "acme/other"]),
    st.sampled_from(["c0ffee", "beef", None]),
    st.sampled_from([True, False, None]),
    paths,
    paths,
    st.sampled_from(["plain", "quoted", "none", "empty", "headless", "crlf"]),
)


@settings(max_examples=150, deadline=None)
@given(
    drawn=st.lists(rows_of, min_size=2, max_size=6),
    same_commit=st.booleans(),
    require_resolved=st.booleans(),
    scope=st.sampled_from(["file", "function"]),
)
def test_nothing_that_the_cascade_keeps_is_dropped(
    drawn: list[tuple[Any, ...]], same_commit: bool, require_resolved: bool, scope: str
) -> None:
    rows = Listed()
    for number, (bug, repo, commit, resolved, old, new, form) in enumerate(drawn):
        patch: str | None = (
            fix_patch(bug)
            .replace("--- a/shop/cart.py", f"--- a/{old}")
            .replace("+++ b/shop/cart.py", f'+++ "b/{new}"' if form == "quoted" else f"+++ b/{new}")
        )
        assert patch is not None
        if form == "headless":
            patch = patch.split("\n", 1)[1]
        patch = {"none": None, "empty": "", "crlf": patch.replace("\n", "\r\n")}.get(form, patch)
        rows.append(trajectory(bug, f"r{number}", resolved=resolved, repo=repo, commit=commit, patch=patch))
    kept = Listed()
    for row in rows:
        outcome = Locate(LocateConfig()).process(row)
        kept.extend(outcome.rows if isinstance(outcome, Keep) else [])
    config: dict[str, Any] = {"same_commit": same_commit, "require_resolved": require_resolved}
    cascade = CascadeConfig(scope=scope, min_relatedness=0.0, max_near_duplicate=1.0, max_length_ratio=1e9, **config)
    used = {pair[side]["id"] for pair in Cascade(cascade).gather(kept).rows for side in ("first", "second")}
    assert not used & sifted(rows, **config).dropped.keys()
