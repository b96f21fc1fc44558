"""A chat server whose replies depend on what is asked: `reply` sees the request and gives an `Answer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openai_server import Answer, OpenAIServer


class ChatServer(OpenAIServer):
    """Use as a context manager, as `OpenAIServer`."""

    def __init__(self, reply: Callable[[dict[str, Any]], Answer]) -> None:
        super().__init__([])
        self._reply = reply

    def _next(self, asked: dict[str, Any], key: str) -> Answer:
        with self._lock:
            self.requests.append(asked)
            self.keys.append(key)
        return self._reply(asked)


def asked_text(asked: dict[str, Any]) -> str:
    """Everything that a request says, as one text."""
    return "\n".join(message["content"] for message in asked["messages"])
