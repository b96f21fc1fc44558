"""Votes of a chat model on pairs: data between fences, a strict form of reply, and how votes are counted.

The parts that every chat judge shares; what is asked, and of which contexts, is the judge's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from contextrl_data.pipeline.stage import Row, seed_of
from contextrl_data.stages.chat import ChatClient, Malformed

NO_REASON = "none"
CANNOT_TELL = "ambiguous label"
"""What a VALID counts for that names the wrong side."""
_SLOT = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n\s*```\s*$", re.DOTALL)


class Vote(BaseModel):
    """One reply of the model; `vote_form` bounds the reasons."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ticket: str
    verdict: Literal["VALID", "INVALID", "UNCERTAIN"]
    reason: str
    answer_1_belongs_to: Literal["X", "Y", "unclear"]


@dataclass(frozen=True, slots=True)
class Ballot:
    """The question of one vote, and what the right reply must name."""

    messages: list[Row]
    ticket: str
    right: str
    """The side, X or Y, that answer 1 belongs to."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a prompt's slots are filled with: instructions with fence and ticket, and the data between fences."""

    ticket: str
    instructions: dict[str, str]
    blocks: dict[str, str]


def vote_form(reasons: Sequence[str]) -> type[Vote]:
    """A vote whose reason is one of a list, or none."""
    one_of: Any = Literal[(NO_REASON, *reasons)]
    return create_model("Vote", __base__=Vote, reason=(one_of, ...))


def token(texts: Iterable[str], seed: int, row_id: str, *more: object) -> str:
    """Sixteen hex digits that occur in none of the texts, the same on every run."""
    held = list(texts)
    return next(
        found
        for attempt in count()
        if not any((found := f"{seed_of(seed, row_id, *more, attempt):016x}") in text for text in held)
    )


def fenced(name: str, text: str, fence: str) -> str:
    """A block of data between lines that only this prompt's author can write."""
    return f"===== {fence} begin {name} =====\n{text}\n===== {fence} end {name} ====="


def sealed(texts: Mapping[str, str], reasons: Sequence[str], seed: int, row_id: str, number: int) -> Sealed:
    """Put texts between fences, with a fence and a ticket that are drawn anew for every vote."""
    fence = token(texts.values(), seed, row_id, number, "fence")
    ticket = token(texts.values(), seed, row_id, number, "ticket")
    listed = ", ".join(f'"{reason}"' for reason in reasons)
    return Sealed(
        ticket=ticket,
        instructions={"fence": fence, "ticket": ticket, "reasons": listed},
        blocks={name: fenced(name.replace("_", " "), text, fence) for name, text in texts.items()},
    )


def fill(template: str, values: dict[str, str]) -> str:
    """Put values into `{slots}`, in one pass: a slot's name inside a value stays what it is."""

    def one(found: re.Match[str]) -> str:
        if found.group(1) is None:
            return found.group()[0]
        return values.get(found.group(1), found.group())

    return _SLOT.sub(one, template)


def reply_schema(form: type[Vote]) -> dict[str, Any]:
    """JSON Schema of a vote."""
    schema = form.model_json_schema()
    schema.pop("description", None)
    return schema


def reader(form: type[Vote], ticket: str) -> Callable[[str], Vote]:
    """A strict reader of replies that carry this ticket."""

    def read(text: str) -> Vote:
        inner = _FENCED.match(text)
        try:
            vote = form.model_validate_json(inner.group(1) if inner else text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise Malformed(f"{where}: {first['msg']}" if where else first["msg"]) from None
        if vote.ticket != ticket:
            raise Malformed("the ticket is not the one in the instructions")
        if (vote.verdict == "VALID") != (vote.reason == NO_REASON):
            raise Malformed('the reason is "none" for VALID and one of the list otherwise')
        return vote

    return read


def poll(
    client: ChatClient, row: str, ballots: Sequence[Ballot], reasons: Sequence[str], unseen: str
) -> tuple[str, str]:
    """Ask for every vote at once; return the verdict and its reason. `unseen` is the reason of who could not tell.

    Raises:
        TooLong: a question does not fit the model.
    """
    form = vote_form(reasons)
    schema = reply_schema(form)

    def ask(numbered: tuple[int, Ballot]) -> tuple[str, str]:
        number, one = numbered
        reply = client.ask(one.messages, reader(form, one.ticket), row=row, sample=number, schema=schema)
        return weigh(reply.value, one.right, unseen)

    with ThreadPoolExecutor(len(ballots)) as pool:
        return decide(list(pool.map(ask, enumerate(ballots))), reasons)


def weigh(vote: Vote, right: str, unseen: str) -> tuple[str, str]:
    """What a vote counts for: VALID only from who could also tell the two sides apart."""
    if vote.verdict != "VALID" or vote.answer_1_belongs_to == right:
        return vote.verdict, "" if vote.verdict == "VALID" else str(vote.reason)
    return "UNCERTAIN", unseen if vote.answer_1_belongs_to == "unclear" else CANNOT_TELL


def decide(votes: Sequence[tuple[str, str]], reasons: Sequence[str]) -> tuple[str, str]:
    """INVALID by majority; VALID where all votes are; UNCERTAIN otherwise, with the reason given most often."""
    counts = Counter(verdict for verdict, _ in votes)
    if counts["VALID"] == len(votes):
        return "VALID", ""
    invalid = 2 * counts["INVALID"] > len(votes)
    given = Counter(reason for verdict, reason in votes if reason and (verdict == "INVALID" or not invalid))
    worst = min(given, key=lambda reason: (-given[reason], reasons.index(reason)))
    return ("INVALID" if invalid else "UNCERTAIN"), worst
