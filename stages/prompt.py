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


def image_choice_prompt(row: Row, instruction: str = INSTRUCTION) -> str:
    """The text of an exported image pair's prompt; its two images stand before it, in the order of `option_images`.

    `instruction` is its last line; "" leaves that line out, for a trainer that adds its own.
    """
    text = (
        "A question, an answer to it, and two images. The answer is right for one of them.\n\n"
        f"<question>\n{asked(row)}\n</question>\n\n"
        f"<answer>\n{row['answer'].rstrip()}\n</answer>\n\n"
        "A. the first image\nB. the second image\n\n"
        "Which image supports the answer?"
    )
    return f"{text}\n{instruction}" if instruction else text


def option_images(row: Row) -> list[Any]:
    """The two images of an exported pair: option A, then option B."""
    images = [row["image_pos"], row["image_neg"]]
    return images if row["correct_first"] else images[::-1]


def asked(row: Row) -> str:
    """The question of an image row, with what may be answered where that is a fixed list."""
    question, choices = str(row["question"]).strip(), row.get("choices") or []
    return "\n".join([question, "", "Choices:", *(f"- {choice}" for choice in choices)]) if choices else question


def correct_option(correct_first: bool) -> str:
    """The letter of the context that supports the answer."""
    return "A" if correct_first else "B"
