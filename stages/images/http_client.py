"""Posts to a server that speaks OpenAI's protocol: tries again what may pass, tells apart what cannot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import Field

from contextrl_data.pipeline.errors import MissingExtra, SetupError
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.chat_errors import retry_after

T = TypeVar("T")

_REFUSED = (400, 413, 415, 422)
_SECRETS = ("key", "token", "secret", "password", "authorization", "credential")


class ServerConfig(StageConfig):
    """A server. Where it is and how it is asked is no part of a stage's key: it changes nothing that comes out."""

    url: str = Field(default="http://127.0.0.1:8000/v1", exclude=True)
    """Address, with `/v1`."""
    key_env: str = Field(default="OPENAI_API_KEY", exclude=True)
    """Environment variable that holds the key; none is sent where it is not set."""
    concurrency: int = Field(default=8, ge=1, exclude=True)
    """Requests at a time."""
    attempts: int = Field(default=5, ge=1, exclude=True)
    """How often a request is tried where the server fails or refuses for now."""
    backoff: float = Field(default=1.0, ge=0, exclude=True)
    """Seconds before the second try; doubles each time."""
    timeout: float = Field(default=120.0, gt=0, exclude=True)
    """Seconds until a request is given up."""


def refuse_secrets(request: dict[str, Any]) -> dict[str, Any]:
    """Raise `ValueError` where a field of a request looks like a secret."""
    for name in request:
        if any(word in name.lower() for word in _SECRETS):
            raise ValueError(f"{name} does not belong into a config; set the variable that key_env names")
    return request


class RefusedByServer(Exception):
    """The server will not take this request, however often it is sent."""


class Unanswered(Exception):
    """Every try failed; the message says how the last one did."""


class Server:
    """One server; safe for many threads."""

    def __init__(self, config: ServerConfig, needed_for: str) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra("images", needed_for) from error
        self.config = config
        key = os.environ.get(config.key_env)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=config.timeout)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, route: str, read: Callable[[Any], T], **request: Any) -> T:
        """What `read` makes of the answer's JSON; an answer that it cannot read is asked for again.

        Raises:
            RefusedByServer, Unanswered: see there.
            SetupError: the key or the route is wrong: no request can succeed.
        """
        config, trouble = self.config, ""
        for attempt in range(config.attempts):
            wait = config.backoff * 2**attempt
            try:
                answer = self._client.post(f"{config.url.rstrip('/')}/{route}", **request)
                if answer.status_code in (401, 403):
                    raise SetupError(f"{config.url} refuses the key", f"set {config.key_env}")
                if answer.status_code == 404:
                    raise SetupError(f"{config.url} knows no such model, or no /{route}", "mend the model or the url")
                if answer.status_code in _REFUSED:
                    raise RefusedByServer(" ".join(answer.text.split())[:200])
                answer.raise_for_status()
                return read(answer.json())
            except (SetupError, RefusedByServer):
                raise
            except Exception as error:  # no connection, a status that may pass, or an answer of another form
                trouble = " ".join(f"{type(error).__name__}: {error}".split())[:160]
                asked = retry_after(error)
                wait = wait if asked is None else min(asked, 120.0)
            if attempt + 1 < config.attempts:
                time.sleep(wait)
        raise Unanswered(f"{config.url} failed {config.attempts} times: {trouble}")
