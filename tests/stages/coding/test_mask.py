"""Masks: nothing of an answer stays readable, both contexts look alike, and the evidence stays."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest
from coding_rows import (
    BUGS,
    CLEAN,
    ISSUES,
    Listed,
    buggy,
    fix_patch,
    needs_real_runs,
    printed,
    real_rows,
    said,
    trajectory,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Drop, Keep
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.mask import Mask, MaskConfig
from contextrl_data.stages.coding.names import NAME
from contextrl_data.stages.coding.patches import parse_patch
from contextrl_data.stages.coding.placeholders import DIFF, EDIT, ISSUE, SUBMISSION, mask_diffs, mask_issue
from contextrl_data.stages.coding.regions import REGION, Regions
from contextrl_data.stages.coding.sweep import mask_all
from contextrl_data.stages.lexical import changed_lines, context_text, fold, identifiers
from contextrl_data.stages.rows import MASKED


def candidates(rows: list[dict[str, Any]], **config: Any) -> list[dict[str, Any]]:
    located = Listed()
    for row in rows:
        outcome = Locate(LocateConfig()).process(row)
        if isinstance(outcome, Keep):
            located.extend(outcome.rows)
    settings = CascadeConfig(**{"min_relatedness": 0.0, "max_near_duplicate": 0.99, **config})
    return list(Cascade(settings).gather(located).rows)


def mask_one(regions: Regions, text: str, code: bool = False) -> str:
    return mask_all(regions, [text], [code])[0]


def masked(*rows: dict[str, Any], **config: Any) -> dict[str, Any]:
    (candidate,) = candidates(list(rows))
    outcome = Mask(MaskConfig(**config)).process(candidate)
    assert isinstance(outcome, Keep)
    pa.Table.from_pylist(outcome.rows, MASKED)
    return outcome.rows[0]


def readable(row: dict[str, Any], least: int = 13) -> list[str]:
    """Changed lines of either answer that stand in either context of either view."""
    lines = [fold(line) for side in ("first", "second") for part in changed_lines(row[side]["patch"]) for line in part]
    texts = [fold(context_text(row[side][view])) for side in ("first", "second") for view in ("full", "before_edit")]
    return [line for line in lines if len(line) >= least and any(line in text for text in texts)]


def test_both_answers_vanish_from_both_contexts_and_the_evidence_stays() -> None:
    row = masked(trajectory("quantity"), trajectory("discount"))
    assert readable(row) == []
    for side in ("first", "second"):
        full = context_text(row[side]["full"])
        for placeholder in (EDIT, DIFF, ISSUE, SUBMISSION, REGION):
            assert placeholder in full
        bug = row[side]["instance_id"].split(".")[1]
        assert ISSUES[bug] not in full
        assert "Mend it. Do not change the tests." in full
        assert "def total(self, discount=0):" in full
        assert f"print('{bug}')" in full
        assert f"1 passed: test_{bug}" in full
        before = row[side]["before_edit"]
        assert before == row[side]["full"][: len(before)]
        assert EDIT not in context_text(before)
        assert before[-1]["role"] == "user"
    assert all(leak["readable"] == 0 for leak in row["leaks"])
    assert {(leak["answer"], leak["view"]) for leak in row["leaks"]} == {
        (answer, view) for answer in ("first", "second") for view in ("full", "before_edit")
    }
    assert all(leak["function_pos"] and leak["function_neg"] for leak in row["leaks"])


def test_the_views_of_two_buggy_files_become_the_same_text() -> None:
    """Which line was wrong must not be seen from what is masked: same commit, two bugs, one masked file."""
    row = masked(trajectory("quantity"), trajectory("discount"))
    shown = [row[side]["full"][3]["content"] for side in ("first", "second")]
    numbered = [row[side]["full"][5]["content"] for side in ("first", "second")]
    assert shown[0] == shown[1]
    assert numbered[0] == numbered[1]


def test_a_line_that_only_one_file_has_leaves_the_same_mask() -> None:
    lost = '        if discount > 100:\n            raise ValueError("a discount is at most 100 percent")\n'
    patch = (
        "--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -10,3 +10,5 @@ class Cart:\n"
        '         """Sum of all prices, less the discount in percent."""\n'
        "         amount = sum(price * quantity for price, quantity in self.items)\n"
        + "".join(f"+{line}\n" for line in lost.splitlines())
        + "         return round(amount * (100 - discount) / 100, 2)\n"
    )
    regions = Regions.of(parse_patch(patch))
    assert mask_one(regions, CLEAN) == mask_one(regions, CLEAN.replace(lost, ""))
    assert REGION in mask_one(regions, CLEAN)


SHOWN = {
    "plain": "{line}",
    "cat -n": "    13\t{line}",
    "nl": "  13  {line}",
    "grep -n": "shop/cart.py:13:{line}",
    "grep -n context": "shop/cart.py-13-{line}",
    "SWE-agent": "13:{line}",
    "diff": "+{line}",
    "traceback": '  File "shop/cart.py", line 13, in total\n    {strip}\nTypeError: x',
    "pytest": ">   {line}\nE   TypeError: x",
    "wrapped": "it runs `{half}\n   {rest}` there",
    "quoted": "the code `{strip}` is wrong",
    "string": "s = s.replace('{strip}', '')",
    "spaced": "{spaced}",
    "windows": "{line}\r",
}


@pytest.mark.parametrize("form", SHOWN)
@pytest.mark.parametrize("bug", sorted(BUGS))
@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("code", [False, True])
def test_an_edited_line_is_masked_however_it_is_shown(form: str, bug: str, image: int, code: bool) -> None:
    line = BUGS[bug][image]
    strip = line.strip()
    half, rest = strip[: strip.index(" ")], strip[strip.index(" ") + 1 :]
    shown = SHOWN[form].format(line=line, strip=strip, half=half, rest=rest, spaced=line.replace(" ", "  "))
    text = mask_one(Regions.of(parse_patch(fix_patch(bug))), f"before\n{shown}\nafter", code)
    assert fold(line) not in fold(text)
    assert REGION in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter")


def test_a_part_of_an_edited_line_is_masked_but_a_single_name_is_not() -> None:
    regions = Regions.of(parse_patch(fix_patch("quantity")))
    assert mask_one(regions, "it does `price * quantity for price` here") == f"it does `{REGION}` here"
    assert mask_one(regions, "look at `self.items` and quantity") == "look at `self.items` and quantity"


VIEW = """    12\t    return p.search(price * quantity for price, {tail})
    13\t        amount = sum(price * quantity for price, quantity in self.items)

    15\t        amount = sum(price + quantity for price, quantity in self.items) or 1
    16\t        if discount > 100:"""


def test_a_line_of_code_is_masked_whole_or_not_at_all() -> None:
    regions = Regions.of(parse_patch(fix_patch("quantity")))
    tail = "and much else that no answer ever touched = True"
    first, *_, last = VIEW.format(tail=tail).split("\n")
    assert mask_one(regions, VIEW.format(tail=tail), code=True) == f"{first}\n{REGION}\n{last}"
    assert mask_one(regions, VIEW.format(tail="x"), code=True) == f"{REGION}\n{last}"


@pytest.mark.parametrize("mark", ["    {}", ">   {}", "E   {}"])
def test_what_underlines_a_masked_line_goes_with_it(mark: str) -> None:
    regions = Regions.of(parse_patch(fix_patch("quantity")))
    other = "    self.run(now)\n    ^^^^^^^^^^^^^\nTypeError: x"
    shown = mark.format(BUGS["quantity"][1].strip()) + "\n             ~~~~~~^~~~~~~~~~\n"
    assert mask_one(regions, shown + other, code=True) == f"{REGION}\n{other}"


def test_prose_keeps_its_words_and_the_code_in_it_goes_by_lines() -> None:
    row = trajectory("quantity")
    bad = BUGS["quantity"][1]
    row["messages"][6] = said(f"The line `{bad.strip()}` looks odd.", f"grep -n '{bad.strip()}' shop/cart.py\nls")
    content = masked(row, trajectory("discount"))["second"]["full"][6]["content"]
    assert content == f"THOUGHT: The line `{REGION}` looks odd.\n\n```bash\n{REGION}\nls\n```"


def test_common_short_lines_are_masked_only_beside_masked_ones() -> None:
    patch = (
        "--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,5 @@\n a = 1\n+if some_condition_holds:\n+    pass\n else:\n     b = 2\n"
    )
    text = mask_one(
        Regions.of(parse_patch(patch)), "if some_condition_holds:\n    pass\nelse:\n\ntry:\n    pass\nfinally:"
    )
    assert text == f"{REGION}\nelse:\n\ntry:\n    pass\nfinally:"


def test_policies_differ_in_whose_lines_they_hide() -> None:
    rows = trajectory("quantity"), trajectory("discount")
    own, other = (BUGS[bug][0].strip() for bug in ("discount", "quantity"))
    first = context_text(masked(*rows, regions="answer")["first"]["full"])
    assert own not in first
    assert other in first
    (candidate,) = candidates(list(rows))
    assert Mask(MaskConfig(regions="none")).process(candidate) == Drop("answer readable after masking")
    paper = masked(*rows, regions="none", max_readable=100)
    assert max(leak["readable"] for leak in paper["leaks"]) > 0


def test_telling_names_are_masked_on_demand() -> None:
    rows = trajectory("quantity"), trajectory("discount")
    rows[0]["messages"][7] = printed("amount_owed mismatch")
    rows[0]["patch"] += "--- a/shop/new.py\n+++ b/shop/new.py\n@@ -0,0 +1 @@\n+amount_owed = 0\n"
    kept, hidden = masked(*rows, names="keep"), masked(*rows, names="telling")
    names = identifiers("".join(kept[side]["patch"] for side in ("first", "second")))

    def difference(row: dict[str, Any]) -> frozenset[str]:
        seen = [identifiers(context_text(row[side]["full"])) for side in ("first", "second")]
        return names & (seen[0] ^ seen[1])

    assert "amount_owed" in difference(kept)
    assert difference(hidden) == frozenset()
    assert NAME in context_text(hidden["second"]["full"])


def test_names_that_an_answer_coins_are_masked_and_names_of_the_code_stay() -> None:
    row = trajectory("quantity")
    row["patch"] += "--- a/tests/test_new.py\n+++ b/tests/test_new.py\n@@ -0,0 +1 @@\n+def test_sum_by_quantity():\n"
    row["messages"][12] = {
        "role": "assistant",
        "content": "I add `test_sum_by_quantity` for `free_shipping` and total.",
    }
    content = masked(row, trajectory("discount"))["second"]["full"][12]["content"]
    assert content == f"I add `{NAME}` for `free_shipping` and total."


def test_a_run_that_edits_at_once_is_dropped() -> None:
    row = trajectory("quantity")
    row["messages"] = [*row["messages"][:2], *row["messages"][8:]]
    (candidate,) = candidates([row, trajectory("discount")], max_length_ratio=10, scope="file")
    assert Mask(MaskConfig()).process(candidate) == Drop("edited before it looked")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<pr_description>\nIt fails.\n</pr_description>\nGo.", f"<pr_description>\n{ISSUE}\n</pr_description>\nGo."),
        ("Here:\nISSUE:\nIt\nfails.\n\nINSTRUCTIONS:\nGo.", f"Here:\nISSUE:\n{ISSUE}\n\nINSTRUCTIONS:\nGo."),
        ("Solve: It fails. Go.", f"Solve: {ISSUE} Go."),
        ("Solve: It\n  fails. Go.", f"Solve: {ISSUE} Go."),
        ("Something else altogether.", ISSUE),
    ],
)
def test_the_issue_is_masked_and_the_instructions_stay(content: str, expected: str) -> None:
    assert mask_issue(content, "It fails.") == expected


def test_a_diff_is_masked_to_its_end_and_no_further() -> None:
    text = f"before\n{fix_patch('quantity')}</output>\nafter"
    assert mask_diffs(text, DIFF) == f"before\n{DIFF}\n</output>\nafter"
    assert mask_diffs("a list:\n- one\n+ two\n", DIFF) == "a list:\n- one\n+ two\n"


_LINE = st.text(alphabet="abcxyz_ ().=+-*/0123456789", min_size=1, max_size=40)


@given(
    old=st.lists(_LINE, min_size=1, max_size=6),
    new=st.lists(_LINE, min_size=1, max_size=6),
    noise=st.lists(_LINE, max_size=6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=400, deadline=None)
def test_no_changed_line_survives_in_any_order_and_dress(
    old: list[str], new: list[str], noise: list[str], seed: int
) -> None:
    import difflib

    diff = "\n".join(difflib.unified_diff(old, new, "a/x.py", "b/x.py", lineterm="")) + "\n"
    rng = random.Random(seed)
    dresses = ["{}", "  7\t{}", "x.py:7:{}", "7:{}", "+{}", ">   {}", "so `{}` it is", "{}\r", "\t{}"]
    lines = [rng.choice(dresses).format(line) for line in [*old, *new, *noise]]
    rng.shuffle(lines)
    regions = Regions.of(parse_patch(diff))
    removed, added = changed_lines(diff)
    long = [fold(line) for line in removed + added if len(fold(line)) > 12]
    for code in (False, True):
        text = mask_one(regions, "\n".join(lines), code)
        assert [line for line in long if line in fold(text)] == []
        left = [line for line in text.split("\n") if line != REGION]
        assert not code or all(line in lines for line in left)
        assert not code or f"{REGION}\n{REGION}" not in text


QUANTITY = Regions.of(parse_patch(fix_patch("quantity")))


@given(st.text(max_size=200), st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_text_is_masked_without_a_crash(text: str, issue: str) -> None:
    mask_one(QUANTITY, text)
    mask_diffs(text, DIFF)
    assert issue.strip() not in mask_issue(text, issue) or not issue.strip() or issue.strip() in ISSUE


MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "tool", "exit", "developer", "", None]),
        "content": st.one_of(
            st.none(),
            st.text(max_size=60),
            st.sampled_from(
                [fix_patch("quantity"), CLEAN, "```bash\ncat <<EOF > shop/cart.py\n", "<output>", "```" * 9]
            ),
        ),
    }
)
BAD_ROW = st.fixed_dictionaries(
    {
        "messages": st.one_of(st.none(), st.lists(MESSAGE, max_size=8)),
        "patch": st.one_of(
            st.none(),
            st.text(max_size=80),
            st.sampled_from(
                [fix_patch("quantity"), fix_patch("discount"), fix_patch("discount").replace("\n", "\r\n")]
            ),
            st.integers(0, 400).map(lambda cut: fix_patch("discount")[:cut]),
        ),
        "problem_statement": st.one_of(st.none(), st.text(max_size=20)),
        "commit": st.one_of(st.none(), st.just("c0ffee")),
        "resolved": st.sampled_from([True, True, False, None]),
    }
)


@given(st.lists(BAD_ROW, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_bad_rows_end_with_a_reason_and_never_with_a_crash(bad: list[dict[str, Any]]) -> None:
    rows = [trajectory("quantity"), *({**trajectory("discount", f"bad#{n}"), **row} for n, row in enumerate(bad))]
    located = Listed()
    for row in rows:
        outcome = Locate(LocateConfig()).process(row)
        if isinstance(outcome, Keep):
            located.extend(outcome.rows)
    result = Cascade(CascadeConfig(scope="file", min_relatedness=0.0, max_length_ratio=1e9)).gather(located)
    pairs = list(result.rows)
    used = {pair[side]["id"] for pair in pairs for side in ("first", "second")}
    assert used | result.dropped.keys() == {row["id"] for row in located}
    for pair in pairs:
        outcome = Mask(MaskConfig()).process(pair)
        assert isinstance(outcome, Keep | Drop)
        if isinstance(outcome, Keep):
            assert readable(outcome.rows[0]) == []


def test_masking_is_the_same_each_time() -> None:
    (candidate,) = candidates([trajectory("quantity"), trajectory("discount")])
    assert Mask(MaskConfig()).process(candidate) == Mask(MaskConfig()).process(candidate)
    assert buggy("quantity") in candidate["second"]["messages"][3]["content"]


@needs_real_runs
def test_no_changed_line_is_readable_in_any_real_pair() -> None:
    pairs = candidates(real_rows(), same_commit=False, scope="file", max_per_function=1000, max_per_trajectory=1000)
    assert len(pairs) > 80
    stage = Mask(MaskConfig())
    outcomes = [stage.process(pair) for pair in pairs]
    kept = [row for outcome in outcomes if isinstance(outcome, Keep) for row in outcome.rows]
    assert len(kept) >= 0.95 * len(pairs)
    assert [line for row in kept for line in readable(row)] == []
    visible = [leak["function_pos"] for row in kept for leak in row["leaks"] if leak["view"] == "full"]
    assert sum(visible) > 0.7 * len(visible)
