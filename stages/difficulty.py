"""The difficulty filter: keep pairs that a given model gets right sometimes, neither always nor never."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import Field, model_validator

from contextrl_data.pipeline.calls import CallLedger
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.chat import ChatClient, SampledChatConfig, TooLong
from contextrl_data.stages.chat_outlook import calls_ahead, pair_tokens
from contextrl_data.stages.prompt import choice_prompt
from contextrl_data.stages.rows import PAIR

PASS_RATE = "pass_rate"
UNREADABLE = "pass_rate_unreadable"

LONGEST_LINE = 200
"""A longer line is no choice."""
_THOUGHTS = re.compile(r"^.*?</think>", re.DOTALL)
_CHOICE = re.compile(
    r"^\W*(?:(?i:the\s+)?(?i:correct|right|final|best)?\s*(?i:answer|option|choice|context)\s*(?i:is)?\s*:?\s*)?"
    r"(?:(?i:option|context)\s+)?[\W_]*([AB])[\W_]*$"
)


class DifficultyConfig(StageConfig):
    """Settings of `difficulty`."""

    chat: SampledChatConfig = SampledChatConfig()
    """The model that is to be trained, as it is served."""
    samples: int = Field(default=8, ge=1)
    """How often each choice is sampled."""
    low: float = Field(default=0.25, ge=0, le=1)
    """Least share of right choices."""
    high: float = Field(default=0.63, ge=0, le=1)
    """Greatest share of right choices."""

    @model_validator(mode="after")
    def _ordered(self) -> DifficultyConfig:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high}): no pair could be kept")
        return self


class Difficulty(Map[DifficultyConfig]):
    """PAIR -> PAIR with its pass rate among the measures."""

    name = "difficulty"
    version = 1
    schema = PAIR
    work = "thread"
    dear = True

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """`samples` questions a pair, with both contexts and one answer in each. How many a model finds neither easy nor
        hard depends on the model: all are counted."""
        prompt, told = pair_tokens()
        chat = self.config.chat
        calls = calls_ahead(chat, self.config.samples, prompt, min(chat.max_tokens, 10), told, "difficulty")
        return Outlook(rows, calls=calls)

    def open(self, context: Context) -> None:
        """Connect to the model."""
        super().open(context)
        self._client = ChatClient(self.config.chat, "difficulty", CallLedger(context.folder, self.name))

    def process(self, row: Row) -> Outcome:
        """Sample the choice; a reply that names no letter is a wrong one."""
        messages = self.messages(row)
        try:
            with ThreadPoolExecutor(self.config.samples) as pool:
                replies = list(
                    pool.map(
                        lambda number: self._client.ask(messages, chosen_letter, row=row["id"], sample=number),
                        range(self.config.samples),
                    )
                )
        except TooLong:
            return Drop("too long for the model")
        letters = [reply.value for reply in replies]
        rate = letters.count(row["correct_option"]) / len(letters)
        if rate < self.config.low:
            return Drop("too hard for the model")
        if rate > self.config.high:
            return Drop("too easy for the model")
        measures = [one for one in row["measures"] or [] if one["name"] not in (PASS_RATE, UNREADABLE)]
        measures.append({"name": PASS_RATE, "value": rate})
        measures.append({"name": UNREADABLE, "value": letters.count(None) / len(letters)})
        return Keep([{**row, "measures": measures}])

    def messages(self, row: Row) -> list[dict[str, Any]]:
        """The chat that asks for the choice."""
        return [{"role": "user", "content": choice_prompt(row)}]


def chosen_letter(text: str) -> str | None:
    """The option that a reply names, or None. The letter must be all that its line says: "a" is a word.

    >>> chosen_letter("**B**"), chosen_letter("The correct option is A."), chosen_letter("A bug is fixed in a loop")
    ('B', 'A', None)
    """
    lines = [line for line in _THOUGHTS.sub("", text).strip().split("\n") if line.strip()]
    if not lines:
        return None
    ends = [line.strip() for line in (lines[0], lines[-1]) if len(line) < LONGEST_LINE]
    named = {found.group(1) for line in ends if (found := _CHOICE.match(line))}
    return named.pop() if len(named) == 1 else None
