"""A chat client over litellm: any provider or local server, replies cached by content, retries, a budget.

Messages are OpenAI's, so their content may also be parts with images.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field, field_validator

from contextrl_data.pipeline.calls import CallLedger
from contextrl_data.pipeline.errors import ConfigError, RowFailure, SetupError
from contextrl_data.pipeline.stage import Row, StageConfig
from contextrl_data.stages.chat_budget import Budget
from contextrl_data.stages.chat_cache import ReplyCache, default_folder
from contextrl_data.stages.chat_errors import Refused, TooLong, Trouble, classify, pause
from contextrl_data.stages.prices import book, litellm_module, price_of

T = TypeVar("T")
_SECRETS = ("api_key", "token", "secret", "password", "authorization", "credential")


class ChatConfig(StageConfig):
    """A chat model and how it is asked. Keys come from the environment, as litellm names them (`OPENAI_API_KEY`, ...).

    Where it is served, how fast and for how much is no part of a run's key: it changes nothing that comes out.
    """

    model: str = ""
    """Model as litellm names it: `openai/gpt-5`, `anthropic/...`, `hosted_vllm/Qwen/Qwen3-8B`, ..."""
    temperature: float = 0.0
    """Sampling temperature; models without one ignore it."""
    max_tokens: int = Field(default=1024, ge=1)
    """Longest reply, in tokens."""
    request: dict[str, Any] = Field(default={})
    """More fields of the request, as the provider names them (`reasoning_effort: low`)."""
    malformed_attempts: int = Field(default=3, ge=1)
    """How often a question is asked until a reply has the form that was asked for."""
    api_base: str | None = Field(default=None, exclude=True)
    """Address of an OpenAI-compatible server, with `/v1`."""
    timeout: float = Field(default=300.0, gt=0, exclude=True)
    """Seconds until a call without a reply is given up (and tried again)."""
    attempts: int = Field(default=6, ge=1, exclude=True)
    """How often a call is tried where the server fails, refuses for now or does not answer."""
    backoff: float = Field(default=1.0, ge=0, exclude=True)
    """Seconds before the second try; doubles each time. A server's Retry-After goes first."""
    longest_pause: float = Field(default=120.0, ge=0, exclude=True)
    """Longest pause between two tries."""
    give_up_after: int = Field(default=6, ge=1, exclude=True)
    """Calls in a row, over all rows, that may fail in every attempt before the run stops: the server is down."""
    concurrency: int = Field(default=16, ge=1, exclude=True)
    """Most calls at a time."""
    max_calls: int | None = Field(default=None, ge=0, exclude=True)
    """Most calls in one run; cached replies cost none. The next run goes on where this one stopped."""
    max_dollars: float | None = Field(default=None, ge=0, exclude=True)
    """Most dollars in one run."""
    input_price: float | None = Field(default=None, ge=0, exclude=True)
    """Dollars per million prompt tokens, where litellm does not know the model's price."""
    output_price: float | None = Field(default=None, ge=0, exclude=True)
    """Dollars per million reply tokens."""
    cache_dir: Path | None = Field(default=None, exclude=True)
    """Folder of cached replies; without it, one below the user's cache folder."""

    @field_validator("request")
    @classmethod
    def _no_secret(cls, request: dict[str, Any]) -> dict[str, Any]:
        for name in request:
            if any(word in name.lower().replace("-", "_") for word in _SECRETS) and name != "max_tokens":
                raise ValueError(f"{name} does not belong into a config; set the provider's environment variable")
        return request


class SampledChatConfig(ChatConfig):
    """A chat model that is asked the same thing several times, to see how often it is right."""

    # Defaults of a class of its own: those of an instance would be lost as soon as a user sets the model.
    temperature: float = 1.0
    """Sampling temperature; at 0 all samples are the same."""
    max_tokens: int = Field(default=256, ge=1)
    """Longest reply, in tokens."""


def require_model(config: ChatConfig, name: str) -> None:
    """Raise `ConfigError` where no model is named; `name` is the stage's."""
    if not config.model:
        raise ConfigError(f"{name} needs a model", f"--set {name}.chat.model=openai/..., as litellm names it")


class Malformed(Exception):
    """A reply that has not the form that was asked for; the message tells the model what is wrong."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """A reply in the form that was asked for."""

    value: T
    text: str


class ChatClient:
    """Asks one model. One client serves any number of threads.

    Args:
        name: of the stage that asks, for messages.
        ledger: where each call is written down; a stage gives its own, `CallLedger(context.folder, self.name)`.
    """

    def __init__(self, config: ChatConfig, name: str = "chat", ledger: CallLedger | None = None) -> None:
        require_model(config, name)
        self.config, self.name = config, name
        self.ledger = ledger or CallLedger(None, name)
        self.cache = ReplyCache(config.cache_dir or default_folder())
        self.budget = Budget(name, config.max_calls, config.max_dollars)
        self._litellm = litellm_module()
        self._slots = threading.BoundedSemaphore(config.concurrency)
        self._failed_in_a_row = 0
        if config.max_dollars is not None and self._price(1, 1) is None:
            raise ConfigError(
                f"the price of {config.model} is not known, so max_dollars cannot be held",
                "set input_price and output_price, or limit max_calls instead",
            )

    def ask(
        self,
        messages: list[Row],
        parse: Callable[[str], T],
        *,
        row: str = "",
        sample: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Reply[T]:
        """Ask until `parse` takes the reply, for the row with the id `row`. `sample` tells apart draws of one question;
        `schema` is JSON Schema.

        Raises:
            RowFailure: of boundary `model`: no reply, or none of the right form.
            TooLong: the question does not fit the model's context.
            BudgetSpent, SetupError: the run must stop.
        """
        key = self._key(messages, sample, schema)
        known = self.cache.get(key)
        if known is not None:
            try:
                return Reply(parse(known), known)
            except Malformed:
                pass  # the form that is asked for has changed
        asked, fault = messages, ""
        for turn in range(self.config.malformed_attempts):
            text = self._call(asked, schema, row, turn + 1)
            try:
                value = parse(text)
            except Malformed as error:
                fault = str(error)
                asked = [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": _again(fault)}]
                continue
            self.cache.put(key, text)
            return Reply(value, text)
        raise RowFailure("model", f"{self.config.model}: {self.config.malformed_attempts} malformed replies: {fault}")

    def _key(self, messages: list[Row], sample: int, schema: Mapping[str, Any] | None) -> str:
        config = self.config
        return ReplyCache.key(
            model=config.model,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            request=config.request,
            messages=messages,
            sample=sample,
            schema=schema,
        )

    def _call(self, messages: list[Row], schema: Mapping[str, Any] | None, row: str, asked: int) -> str:
        model, trouble = self.config.model, Trouble("")
        with self._slots:
            for attempt in range(self.config.attempts):
                if attempt:
                    time.sleep(pause(trouble, attempt, self.config.backoff, self.config.longest_pause))
                try:
                    with self.budget.call() as bill, self.ledger.call(model, row, attempt + 1, asked) as call:
                        response = self._litellm.completion(**self._request(messages, schema))
                        book(call, response, self.config.input_price, self.config.output_price)
                        bill.cost = call.dollars or 0.0
                except Exception as error:
                    trouble = classify(error, model)  # raises what another try cannot mend
                    continue
                self._failed_in_a_row = 0
                return str(response.choices[0].message.content or "")
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self.config.give_up_after:
            raise SetupError(
                f"{model} failed {self._failed_in_a_row} calls in a row: {trouble.message}",
                "check the server, its limits and your quota, then run again: what is done is kept",
            )
        raise RowFailure("model", trouble.message)

    def _request(self, messages: list[Row], schema: Mapping[str, Any] | None) -> dict[str, Any]:
        config = self.config
        request: dict[str, Any] = {
            "model": config.model,
            "messages": messages,
            "temperature": config.temperature,
            "max_tokens": config.max_tokens,
            "timeout": config.timeout,
            "num_retries": 0,  # both would try again on their own, unseen by the budget
            "max_retries": 0,
            "drop_params": True,
            **config.request,
        }
        if config.api_base is not None:
            request["api_base"] = config.api_base
            if config.model.startswith("openai/") and not os.environ.get("OPENAI_API_KEY"):
                request["api_key"] = "none"  # the client insists on one; a local server does not
        if schema is not None:
            described = {"name": "reply", "schema": dict(schema), "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": described}
        return request

    def _price(self, prompt_tokens: int, reply_tokens: int) -> float | None:
        config = self.config
        return price_of(config.model, prompt_tokens, reply_tokens, config.input_price, config.output_price)


def _again(fault: str) -> str:
    return f"Your reply does not have the form that was asked for: {fault}. Reply again, in that form and nothing else."


__all__ = ["ChatClient", "ChatConfig", "Malformed", "Refused", "Reply", "TooLong", "require_model"]
