"""The probe over HTTP: any server that speaks OpenAI's chat completions (vLLM, SGLang, llama.cpp, a paid API)."""

from __future__ import annotations

import base64
import io
import math
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from contextrl_data.pipeline.errors import InputError, MissingExtra, SetupError
from contextrl_data.stages.train.pairs import Pairs, choice_conversation
from contextrl_data.stages.train.probe_config import ProbeConfig

_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum model length|(prompt|input) is too long", re.IGNORECASE
)
LIMIT = "max_completion_tokens"
OPTIONAL = {"chat_template_kwargs", "max_tokens", "temperature"}
"""What some servers refuse by name, OpenAI's newer models among them. The probe can do without: `max_tokens` is then
called `max_completion_tokens`, the temperature is the server's own, and its template has no options."""


class TooLongError(Exception):
    """The server says that a prompt is longer than its model's context."""


def ask_server(pairs: Pairs, config: ProbeConfig) -> tuple[list[dict[str, Any]], str]:
    """Choices of a served model, in the pairs' order, and how they were read. Pairs that it calls too long are counted.

    Raises:
        InputError: that is all of them.
        SetupError: the server does not answer.
    """
    server = Server(config)
    try:
        with ThreadPoolExecutor(config.server.workers) as pool:
            found = list(pool.map(server.both_orders, pairs))
    finally:
        server.close()
    pairs.too_long += found.count([])
    choices = [choice for orders in found for choice in orders]
    if not choices:
        raise InputError(
            f"all {len(found)} pairs of {pairs.name} are longer than the context of {config.model}",
            "serve it with a longer one, or build shorter pairs",
        )
    ways = sorted({choice["how"] for choice in choices})
    return choices, " and ".join(ways)


class Server:
    """A client of one server, shared by threads."""

    def __init__(self, config: ProbeConfig) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra("train", "the probe of a served model") from error
        key = os.environ.get(config.server.key_env, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.config = config
        self.errors: type[Exception] = httpx.TransportError
        self.refused: set[str] = set()
        """Names of fields that this server does not take."""
        self.http = httpx.Client(headers=headers, timeout=config.server.timeout)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def both_orders(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """One pair in both orders; nothing where it is too long."""
        try:
            return [self.choice(row, flipped) for flipped in (False, True)]
        except TooLongError:
            return []

    def choice(self, row: dict[str, Any], flipped: bool) -> dict[str, Any]:
        """One pair in one order."""
        messages, images = choice_conversation(row, self.config.pairs, flipped=flipped)
        messages = with_images(messages, images)
        if self.config.pairs.answer_prefix:
            messages.append({"role": "assistant", "content": self.config.pairs.answer_prefix})
        margin = self._margin(messages) if self.config.server.logprobs == "auto" else None
        how = "logprobs"
        first: bool | None
        if margin is None:
            how = "samples"
            first = self._vote(messages)
        else:
            first = None if margin == 0 else margin > 0
        signed = None if margin is None else (-margin if flipped else margin)
        correct = first is not None and first != flipped
        return {"id": row["id"], "flipped": flipped, "margin": signed, "correct": correct, "first": first, "how": how}

    def _margin(self, messages: list[dict[str, Any]]) -> float | None:
        """Log-probability of the first option minus that of the second; None where the server does not say."""
        body = {"max_tokens": 1, "temperature": 0.0, "logprobs": True, "top_logprobs": 20}
        reply = self._post(messages, body, may_refuse=True)
        try:
            entries = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        except (KeyError, TypeError, IndexError):
            return None
        first, second = (_best(entries, label) for label in self.config.pairs.labels)
        if first is None and second is None:
            return None  # neither is among the likeliest: sampling may still show what it says
        floor = min(entry["logprob"] for entry in entries)  # an option that is not listed is no likelier than this
        return (floor if first is None else first) - (floor if second is None else second)

    def _vote(self, messages: list[dict[str, Any]]) -> bool | None:
        """What most samples say: first, second, or nothing readable."""
        s = self.config.server
        votes = 0
        for _ in range(s.samples):
            reply = self._post(messages, {"max_tokens": s.max_tokens, "temperature": s.temperature})
            try:
                said = reply["choices"][0]["message"]["content"] or ""
            except (KeyError, TypeError, IndexError) as error:
                raise InputError(
                    f"{s.url} answers in no form of a chat completion", "give the base URL of an OpenAI-compatible API"
                ) from error
            label = read_label(said, self.config.pairs.labels)
            votes += 0 if label is None else (1 if label == self.config.pairs.labels[0] else -1)
        return None if votes == 0 else votes > 0

    def _fields(self, body: dict[str, Any]) -> dict[str, Any]:
        """A request's fields, less those that the server has refused."""
        extra: dict[str, Any] = {"chat_template_kwargs": self.config.pairs.template_options}
        if self.config.pairs.answer_prefix:
            extra |= {"add_generation_prompt": False, "continue_final_message": True}
        fields = {name: value for name, value in {**body, **extra}.items() if name not in self.refused}
        if "max_tokens" in self.refused:
            fields[LIMIT] = body["max_tokens"]
        return fields

    def _can_do_without(self, fields: dict[str, Any], complaint: str) -> bool:
        """Note which of the fields that a server may not know its complaint is about."""
        named = {name for name in OPTIONAL & set(fields) if re.search(rf"\b{name}\b", complaint)}
        self.refused |= named
        return bool(named)

    def _waited(self, attempt: int) -> int:
        """The next attempt, after a while where there will be one."""
        if attempt < self.config.server.retries:
            time.sleep(min(2.0**attempt, 20))
        return attempt + 1

    def _post(self, messages: list[dict[str, Any]], body: dict[str, Any], *, may_refuse: bool = False) -> Any:
        s = self.config.server
        url = s.url.rstrip("/") + "/chat/completions"
        problem = ""
        attempt = 0
        while attempt <= s.retries:
            fields = self._fields(body)
            try:
                response = self.http.post(url, json={"model": self.config.model, "messages": messages, **fields})
            except self.errors as error:
                problem = str(error) or type(error).__name__
                attempt = self._waited(attempt)
                continue
            if response.status_code == 200:
                return response.json()
            problem = f"HTTP {response.status_code}: {response.text[:160]}"
            if response.status_code in (400, 413, 422):
                if _TOO_LONG.search(response.text):
                    raise TooLongError(problem)
                if self._can_do_without(fields, response.text):
                    continue
                if may_refuse:
                    return {}
            if response.status_code == 403 and may_refuse and "logprobs" in response.text:
                return {}
            if response.status_code in (401, 403):
                raise SetupError(f"{url} refuses the key ({problem})", f"set {s.key_env} to a valid key")
            if response.status_code not in _PASSING:
                break
            attempt = self._waited(attempt)
        raise SetupError(f"{url} gives no answer: {problem}", "check server.url and that the server runs")


def _best(entries: Sequence[dict[str, Any]], label: str) -> float | None:
    """The likeliest entry that is the label, with or without space around it."""
    found = [entry["logprob"] for entry in entries if entry["token"].strip() == label]
    return max(found) if found and math.isfinite(max(found)) else None


def read_label(said: str, labels: tuple[str, str]) -> str | None:
    """The option that an answer names, or None. Strict: the whole answer, or a closing statement that names one."""
    text = re.sub(r"<think>.*?</think>", "", said, flags=re.DOTALL).strip()
    either = "|".join(map(re.escape, labels))
    patterns = (
        rf"[\s\"'*(\[]*(?:(?:Context|Option|Answer)\s*:?\s*)?({either})[\s\"'*.)\]]*",
        rf".*\b(?:answer|context|option)(?:\s+is)?\s*:?\s*[\"'*(\[]*({either})[\"'*)\].]*\s*",
    )
    for pattern in patterns:
        if found := re.fullmatch(pattern, text, re.DOTALL | re.IGNORECASE):
            named = [label for label in labels if label == found[1]]
            return named[0] if named else None
    return None


def with_images(messages: list[dict[str, Any]], images: Sequence[Any]) -> list[dict[str, Any]]:
    """Put images into their places as data URLs."""
    left = iter(images)
    out = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = [part if part["type"] == "text" else _data_url(next(left)) for part in content]
        out.append({**message, "content": content})
    return out


def _data_url(image: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
