"""The choice prompt of a pair: question, answer, two contexts as options A and B, and what to say.

A dataset does not store it (it would hold each context twice); every user builds it from the columns with these
functions, so that the token budget, the judge, the trainer and the probe all speak of the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contextrl_data.pipeline.stage import Row

INSTRUCTION = "Output A or B directly."
"""Closes every choice prompt (the paper's wording)."""


def transcript(messages: Iterable[Mapping[str, Any]]) -> str:
    """A context as text: one headed block per message."""
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)


def choice_prompt(row: Row, correct_first: bool | None = None) -> str:
    """The whole prompt of an exported pair. `correct_first` overrules the order on record."""
    first = row["correct_first"] if correct_first is None else correct_first
    option_a, option_b = ("context_pos", "context_neg") if first else ("context_neg", "context_pos")
    return (
        f"{row['question']}\n\n"
        f"<answer>\n{row['answer'].rstrip()}\n</answer>\n\n"
        f"<option_A>\n{transcript(row[option_a])}\n</option_A>\n\n"
        f"<option_B>\n{transcript(row[option_b])}\n</option_B>\n\n"
        f"{INSTRUCTION}"
    )


def correct_option(correct_first: bool) -> str:
    """The letter of the context that supports the answer."""
    return "A" if correct_first else "B"
