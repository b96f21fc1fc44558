"""Rows that look like the pipeline's, made from a few numbers: for tests of what comes after the containers."""

from __future__ import annotations

import random
from typing import Any

from contextrl_data.stages.audit import blind_scores

REPOS = ("pytoolz/toolz", "more-itertools/more-itertools", "mahmoud/boltons", "erikrose/parsimonious")


def patch(symbol: str, number: int) -> str:
    """A fix of one line, as git writes it."""
    return (
        f"diff --git a/src/{symbol}.py b/src/{symbol}.py\n--- a/src/{symbol}.py\n+++ b/src/{symbol}.py\n"
        f"@@ -40,3 +40,3 @@ def {symbol}(values, count_{number}):\n"  # the number alone would stand in the context as well
        f"     total_{number} = 0\n-    return total_{number} - len(values)\n+    return total_{number} + len(values)\n"
    )


def messages(symbol: str, number: int, steps: int) -> list[dict[str, str]]:
    """A masked trajectory in the shape that mini-swe-agent leaves: system, task, then actions and observations."""
    found = [
        {"role": "system", "content": "You are a helpful assistant that can interact with a computer."},
        {"role": "user", "content": "<issue hidden>"},
    ]
    for step in range(steps):
        command = (f"ls src tests_{number}", f"nl -ba src/{symbol}.py | head -40", "python -m pytest -q tests")[
            step % 3
        ]
        found.append(
            {"role": "assistant", "content": f"THOUGHT: step {step}, case {number}.\n\n```bash\n{command}\n```"}
        )
        listing = "\n".join(f"{line:6}\tvalue_{line} = case_{number}[{line}]" for line in range(1 + number % 7, 12))
        found.append(
            {"role": "tool", "content": f"<returncode>{step % 2}</returncode>\n<output>\n{listing}\n</output>"}
        )
    return found


def pair_rows(number: int, *, kind: str = "sibling", repo: str = "", group: str = "") -> list[dict[str, Any]]:
    """Both directions of one pair, as `directed` makes them."""
    rng = random.Random(number)
    repo = repo or REPOS[number % len(REPOS)]
    symbol = f"function_{number % 23}"
    sides = [
        {
            "instance": f"{repo.split('/')[1]}-{number * 2 + side}",
            "trajectory": f"trajectory-{number * 2 + side}",
            "patch": patch(symbol, number * 2 + side),
            "context": messages(symbol, number * 2 + side, 3 + rng.randrange(4)),
        }
        for side in (0, 1)
    ]
    return [
        _row(number, place, sides[place], sides[1 - place], kind, repo, group or f"{repo}::src::{symbol}")
        for place in (0, 1)
    ]


def _row(
    number: int, place: int, pos: dict[str, Any], neg: dict[str, Any], kind: str, repo: str, group: str
) -> dict[str, Any]:
    first = (number % 2 == 0) ^ (place == 1)
    row = {
        "id": f"pair-{number:05}-{('forward', 'reverse')[place]}",
        "pair_id": f"pair-{number:05}",
        "direction": ("forward", "reverse")[place],
        "split": "",
        "domain": "coding",
        "kind": kind,
        "question": "Which trajectory, A or B, supports this patch?",
        "answer": pos["patch"],
        "answer_neg": neg["patch"],
        "context_pos": pos["context"],
        "context_neg": neg["context"],
        "correct_first": first,
        "correct_option": "A" if first else "B",
        "view": "full",
        "repo": repo,
        "commit": "0f1e2d3c",
        "file": group.split("::")[1],
        "symbol": group.split("::")[-1],
        "group": group,
        "resolved_pos": True,
        "resolved_neg": kind == "sibling",
        "model_pos": "scripted",
        "model_neg": "scripted",
        "source": f"{repo.split('/')[1]} 1.0",
        "licence": "BSD-3-Clause" if "toolz" in repo else "MIT",
        "verdict": "UNCERTAIN" if number % 9 == 0 else "VALID",
        "judge": "rules",
        "checks": [
            {"name": "answer passes the tests of C+", "passed": True, "detail": "resolved"},
            {"name": "answer fails the tests of C-", "passed": True, "detail": "unresolved"},
        ],
        "measures": [{"name": "relatedness", "value": 0.5}, {"name": "length_ratio", "value": 1.25}],
        "tokens": 900,
        "tokenizer": "cl100k_base",
    }
    for name, side in (("pos", pos), ("neg", neg)):
        row[f"instance_{name}"] = side["instance"]
        row[f"trajectory_{name}"] = side["trajectory"]
        row[f"problem_statement_{name}"] = f"{side['instance']} returns the wrong total."
    row["blind_scores"] = [{"name": key, "value": value} for key, value in blind_scores(row).items()]
    return row
