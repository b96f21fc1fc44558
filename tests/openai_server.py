"""A server on loopback that speaks OpenAI's chat protocol: each request gets the next of a list of answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST_HANG = 60.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `hang` sends nothing until the server closes."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


def call(command: str, text: str = "THOUGHT: next.", arguments: str | None = None, tool: str = "bash") -> Answer:
    """The model calls the bash tool; `arguments` replaces the well-formed ones."""
    given = json.dumps({"command": command}) if arguments is None else arguments
    function = {"name": tool, "arguments": given}
    return _completion({"content": text, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]})


def say(text: str) -> Answer:
    """The model answers in text."""
    return _completion({"content": text})


def error(status: int, message: str = "no", **headers: str) -> Answer:
    """An error in OpenAI's form; `Retry_After` becomes `Retry-After`."""
    body = {"error": {"message": message, "type": "server_error", "code": None, "param": None}}
    return Answer(json.dumps(body).encode(), status, {key.replace("_", "-"): value for key, value in headers.items()})


HANG = Answer(b"", hang=True)


def _completion(message: dict[str, Any]) -> Answer:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
                "message": {"role": "assistant", **message},
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return Answer(json.dumps(body).encode())


class OpenAIServer:
    """Use as a context manager; `requests` holds what was asked. The last answer repeats."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = owner._next(asked, self.headers.get("Authorization", ""))
                if answer.hang:
                    owner._closing.wait(LONGEST_HANG)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """The `api_base` of a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _next(self, asked: dict[str, Any], key: str) -> Answer:
        with self._lock:
            self.requests.append(asked)
            self.keys.append(key)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
