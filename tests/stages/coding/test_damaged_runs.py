"""Rows that a reader lets through may still hold anything: odd patches and odd talk, all the way to the judge."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa
from coding_rows import Listed, trajectory
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.coding.block import Block, BlockConfig
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.mask import Mask, MaskConfig
from contextrl_data.stages.coding.readers.decode import loads
from contextrl_data.stages.coding.readers.trajectories import Normal, TrajectoriesConfig
from contextrl_data.stages.judge import RuleJudge, RuleJudgeConfig
from contextrl_data.stages.rows import JUDGED, LOCATED, TRAJECTORY

GOOD = trajectory("quantity")
PATCH = GOOD["patch"]
LINES = PATCH.split("\n")
BINARY = (
    "diff --git a/shop/logo.png b/shop/logo.png\nindex 1..2 100644\nGIT binary patch\nliteral 5\nMcmZQzU|?W!\n\nliteral 0\n"
    "HcmV?d00001\n\n"
)
RENAME = "diff --git a/shop/cart.py b/shop/basket.py\nsimilarity index 90%\nrename from shop/cart.py\nrename to shop/basket.py\n"

# Each turns a sound patch into one that somebody's tool might have written, or none could.
mends = st.sampled_from(
    [
        lambda patch: patch.replace("\n", "\r\n"),
        lambda patch: patch.rstrip("\n"),
        lambda patch: patch + "\\ No newline at end of file\n",
        lambda patch: BINARY + patch,
        lambda patch: patch + BINARY,
        lambda patch: patch.replace("diff --git a/shop/cart.py b/shop/cart.py\n", RENAME).replace(
            "+++ b/shop/cart.py", "+++ b/shop/basket.py"
        ),
        lambda patch: patch.replace("@@ -", "@@ -9"),
        lambda patch: patch.replace("@@ -", "@@ -99999999999999999999,0 +0,0 @@\n@@ -"),
        lambda patch: patch.replace("--- a/shop/cart.py", "--- /dev/null"),
        lambda patch: patch.replace("+++ b/shop/cart.py", "+++ /dev/null"),
        lambda patch: patch.replace("shop/cart.py", "shop/ca rt\u2028é.py"),
        lambda patch: patch.replace("    ", "\t"),
        lambda patch: patch.replace("price", "\ud83d\ude00\u0085"),
        lambda patch: patch + patch,
        lambda patch: "From: somebody\n\n" + patch + "-- \n2.40.1\n",
    ]
)
cuts = st.tuples(st.integers(0, len(LINES)), st.integers(0, len(LINES)))
pieces = st.sampled_from(
    [
        "```bash\n",
        "```",
        "<function=bash>",
        "cat <<EOF > shop/cart.py\n",
        "EOF\n",
        "sed -i s/a/b/ shop/cart.py",
        "\r",
        "\0",
    ]
) | st.sampled_from(
    ["diff --git a/x b/x\n", "@@ -1 +1 @@\n", *LINES[:8], "\u2028", "🦊", "<pr_description>", "submit\n", "12:"]
)
texts = st.lists(pieces | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=6).map("".join)
talk = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool", "system"]), "content": texts}),
    max_size=3,
)
seen: Counter[str] = Counter()


def run_of(number: int, patch: str, more: list[dict[str, str]], place: int) -> dict[str, Any]:
    messages = [*GOOD["messages"][:place], *more, *GOOD["messages"][place:]]
    return {
        "instance_id": f"acme__shop-{number}",
        "repo": "acme/shop",
        "base_commit": "1" * 40,
        "problem_statement": f"{GOOD['problem_statement']} {number}",
        "messages": messages,
        "patch": patch,
        "resolved": number % 3 > 0,
    }


@settings(
    max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(
    st.lists(
        st.tuples(st.lists(mends, max_size=3), cuts, talk, st.integers(0, len(GOOD["messages"]))),
        min_size=8,
        max_size=8,
    )
)
def check_whole_way(runs: list[Any]) -> None:
    raw = []
    for number, (changes, cut, more, place) in enumerate(runs):
        patch = "\n".join(LINES[: cut[0]] + LINES[cut[1] :]) if number % 2 else PATCH.replace("price", f"price{number}")
        for change in changes:
            patch = change(patch)
        raw.append(run_of(number, patch, more, place))
    normal = Normal(TrajectoriesConfig(path="runs"), {})
    read = [normal.outcome(f"row {number}", loads(json.dumps(row).encode()), "") for number, row in enumerate(raw)]
    rows = kept([outcome for _, outcome in read], "read")
    pa.Table.from_pylist(rows, TRAJECTORY)
    sifted = Block(BlockConfig()).sift(iter(rows))
    rows = [row for row in rows if row["id"] not in sifted.dropped]
    located = Listed(kept([Locate(LocateConfig()).process(row) for row in rows], "located"))
    pa.Table.from_pylist(located, LOCATED)
    found = Cascade(CascadeConfig(scope="file", min_relatedness=0, max_relatedness=1, max_near_duplicate=1)).gather(
        located
    )
    pairs = list(found.rows)
    used = {pair[side]["id"] for pair in pairs for side in ("first", "second")}
    assert used | found.dropped.keys() == {row["id"] for row in located}
    masked = kept([Mask(MaskConfig()).process(pair) for pair in pairs], "masked")
    judge = RuleJudge(RuleJudgeConfig())
    judged = kept([judge.process({**pair, "checks": []}) for pair in masked], "judged")
    pa.Table.from_pylist(judged, JUDGED)
    seen.update({"runs": len(runs), "pairs": len(pairs)})


def kept(outcomes: list[Any], step: str) -> list[Row]:
    """Rows that go on. Every other one has a reason; none has failed."""
    rows: list[Row] = []
    for outcome in outcomes:
        assert isinstance(outcome, Keep | Drop), outcome
        if isinstance(outcome, Keep):
            rows.extend(outcome.rows)
            seen[step] += len(outcome.rows)
        else:
            assert outcome.reason
            seen[f"not {step}: {outcome.reason}"] += 1
    return rows


def test_odd_patches_and_odd_talk_never_end_a_build() -> None:
    seen.clear()
    check_whole_way()
    assert seen["runs"] >= 200
    # The damage is of every degree: some of it reaches each step, and some ends at each.
    assert all(seen[step] > 20 for step in ("read", "located", "pairs", "masked", "judged"))
    assert seen["not read: patch is not a diff"]
    assert any(name.startswith("not located") for name in seen)
