"""Hand-written runs on a tiny shop: one clean file, two bugs in one function, and what an agent does about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CLEAN = '''"""Prices of a shopping cart."""


class Cart:
    """Items with their quantities."""

    def __init__(self, items):
        self.items = list(items)

    def total(self, discount=0):
        """Sum of all prices, less the discount in percent."""
        amount = sum(price * quantity for price, quantity in self.items)
        if discount > 100:
            raise ValueError("a discount is at most 100 percent")
        return round(amount * (100 - discount) / 100, 2)


def free_shipping(amount):
    """Whether an order ships free of charge."""
    return amount >= 50
'''

BUGS = {
    "quantity": (
        "        amount = sum(price * quantity for price, quantity in self.items)",
        "        amount = sum(price + quantity for price, quantity in self.items)",
    ),
    "discount": (
        "        return round(amount * (100 - discount) / 100, 2)",
        "        return round(amount * (100 + discount) / 100, 2)",
    ),
    "shipping": ("    return amount >= 50", "    return amount > 50"),
}

ISSUES = {
    "quantity": "Cart.total gives a wrong sum. Two items of 3.00 with quantity 2 gave 10 where 12 was expected.",
    "discount": "Cart.total with a discount gives more than without it. A discount of 10 percent made 100 into 110.",
    "shipping": "free_shipping says no for an order of exactly 50, the total of a cart.",
}


class Listed(list[dict[str, Any]]):
    """Rows in memory, with the engine's own `select`."""

    def select(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        return ({column: row[column] for column in columns} for row in self)


def buggy(bug: str) -> str:
    good, bad = BUGS[bug]
    return CLEAN.replace(good, bad)


def fix_patch(bug: str) -> str:
    """The diff that mends a bug, as git prints it."""
    import difflib

    before, after = buggy(bug).splitlines(keepends=True), CLEAN.splitlines(keepends=True)
    body = "".join(difflib.unified_diff(before, after, "a/shop/cart.py", "b/shop/cart.py"))
    return f"diff --git a/shop/cart.py b/shop/cart.py\n{body}"


def said(thought: str, command: str) -> dict[str, str]:
    return {"role": "assistant", "content": f"THOUGHT: {thought}\n\n```bash\n{command}\n```"}


def printed(output: str, code: int = 0) -> dict[str, str]:
    return {"role": "user", "content": f"<returncode>{code}</returncode>\n<output>\n{output}\n</output>"}


def trajectory(
    bug: str, name: str = "", edit: str = "", resolved: bool | None = True, **changed: Any
) -> dict[str, Any]:
    """A LOCATED row's trajectory part: looks, reproduces, edits, tests and submits."""
    good, bad = (line.strip() for line in BUGS[bug])
    edit = edit or f"sed -i 's/{bad}/{good}/' shop/cart.py"
    messages = [
        {"role": "system", "content": "You solve tasks in a shell."},
        {
            "role": "user",
            "content": f"<pr_description>\n{ISSUES[bug]}\n</pr_description>\n\nMend it. Do not change the tests.",
        },
        said("I look at the code first.", "cat shop/cart.py"),
        printed(buggy(bug)),
        said("With line numbers.", "nl -ba shop/cart.py | sed -n '10,15p'"),
        printed("\n".join(f"{n:6d}\t{line}" for n, line in enumerate(buggy(bug).split("\n")[9:15], 10))),
        said(f"The report on {bug} is right.", f"cat <<'EOF' > repro_{bug}.py\nimport shop.cart\nprint('{bug}')\nEOF"),
        printed(""),
        said(f"The line `{bad}` is wrong; it must be `{good}`.", edit),
        printed(""),
        said("What did I change?", "git diff"),
        printed(fix_patch(bug)),
        said("The tests pass.", "python -m pytest -q"),
        printed(f"1 passed: test_{bug}"),
        said("Done.", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached"),
        {"role": "user", "content": fix_patch(bug)},
    ]
    row = {
        "id": name or f"shop.{bug}#0",
        "instance_id": f"shop.{bug}",
        "repo": "acme/shop",
        "commit": "c0ffee",
        "problem_statement": ISSUES[bug],
        "messages": messages,
        "patch": fix_patch(bug),
        "resolved": resolved,
        "status": {True: "resolved", False: "unresolved", None: None}[resolved],
        "exit_status": "Submitted",
        "model": "scripted",
        "attempt": 0,
        "source": "shop 1.0",
        "licence": "MIT",
    }
    return {**row, **changed}


REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "trajectories"
needs_real_runs = pytest.mark.skipif(not REAL.is_dir(), reason="the real trajectories are not beside the checkout")


def real_rows() -> list[dict[str, Any]]:
    """Real mini-swe-agent runs on SWE-bench Verified, where they lie beside the checkout."""
    import orjson
    import zstandard

    packed = (REAL / "mini_swe_agent_swebench_verified.jsonl.zst").read_bytes()
    rows = []
    for line in zstandard.ZstdDecompressor().decompressobj().decompress(packed).splitlines():
        run = orjson.loads(line)
        instance, resolved = run["instance_id"], run["resolved"]
        messages = [{"role": message["role"], "content": message["content"]} for message in run["messages"]]
        issue = messages[1]["content"].split("PR description:\n", 1)[1].split("</pr_description>")[0].strip()
        row = trajectory("quantity", instance, resolved=resolved, patch=run["info"]["submission"], messages=messages)
        repo = instance.rsplit("-", 1)[0].replace("__", "/")
        rows.append({**row, "instance_id": instance, "repo": repo, "commit": instance, "problem_statement": issue})
    return rows
