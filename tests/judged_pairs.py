"""Masked pairs as the judge gets them, from a few words; and what a model says that can read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from openai_server import Answer, say

from contextrl_data.pipeline.stage import Keep, Outcome, Row, Source, StageConfig
from contextrl_data.stages.rows import CHECKED


def side(name: str, says: str = "") -> dict[str, Any]:
    """One half of a pair; its context names the same thing as its patch, so that a reader can tell."""
    talk = [
        {"role": "user", "content": "<ISSUE_MASKED>"},
        {"role": "assistant", "content": f"THOUGHT: look at {name}.\n\n```bash\ngrep -rn evidence_{name} .\n```"},
        {"role": "user", "content": f"<returncode>0</returncode>\n<output>\nevidence_{name}\n{says}\n</output>"},
    ]
    return {
        "id": f"run-{name}",
        "instance_id": f"own__shop-{name}",
        "problem_statement": f"{name} is wrong.",
        "patch": f"--- a/shop.py\n+++ b/shop.py\n@@ -1 +1 @@\n-old_{name}\n+new_{name}\n",
        "full": talk,
        "before_edit": talk[:1],
        "edits": [],
    }


def pair(number: int, says: str = "") -> Row:
    """A pair whose first context holds `says`."""
    return {
        "id": f"pair-{number}",
        "kind": "sibling",
        "group": "own/shop::shop.py::total",
        "first": side(f"first{number}", says),
        "second": side(f"second{number}"),
        "same_commit": True,
        "relatedness": 0.5,
        "near_duplicate": 0.1,
        "length_ratio": 1.0,
        "lexical_margin": 0.0,
        "regions": "both",
        "leaks": [],
        "checks": [],
    }


FENCE = re.compile(r"^===== ([0-9a-f]{16}) begin (.+) =====\n(.*?)\n===== \1 end \2 =====$", re.MULTILINE | re.DOTALL)


def ticket_of(asked: dict[str, Any]) -> str:
    found = re.search(r'"ticket": "([0-9a-f]{16})"', asked["messages"][0]["content"])
    assert found
    return found.group(1)


def blocks_of(text: str) -> dict[str, str]:
    return {found.group(2): found.group(3) for found in FENCE.finditer(text)}


def vote(asked: dict[str, Any], verdict: str = "VALID", reason: str = "none", belongs: str | None = None) -> Answer:
    """What a model would say that can read: the patch and its context name the same thing."""
    blocks = blocks_of(asked["messages"][1]["content"])
    name = re.search(r"new_(\w+)", blocks["answer 1"])
    assert name
    right = "X" if f"evidence_{name.group(1)}" in blocks["context X"] else "Y"
    reply = {"ticket": ticket_of(asked), "verdict": verdict, "reason": reason, "answer_1_belongs_to": belongs or right}
    return say(json.dumps(reply))


class PairsConfig(StageConfig):
    says: list[str]
    """What the first context of each pair holds."""


class Pairs(Source[PairsConfig]):
    """One pair for every text."""

    name = "pairs"
    schema = CHECKED

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number, says in enumerate(self.config.says):
            row = {name: value for name, value in pair(number, says).items() if name in CHECKED.names}
            yield row["id"], Keep([row])


def pairs(says: Sequence[str]) -> Pairs:
    """The source stage of such pairs."""
    return Pairs(PairsConfig(says=list(says)))
