"""A server on loopback that speaks OpenAI's embeddings protocol; the vectors are sums over the pixels it was sent."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
from openai_server import Answer, OpenAIServer, error
from PIL import Image

Uri = str


def uris_of(asked: dict[str, Any]) -> list[Uri]:
    """The pictures of a request, in any of the forms that servers know."""
    if "messages" in asked:
        return [part["image_url"]["url"] for part in asked["messages"][0]["content"]]
    return [one["image"] if isinstance(one, dict) else one for one in asked["input"]]


def vector_of(uri: Uri) -> list[float]:
    """Mean colours of the four quarters: 12 numbers."""
    kind, _, body = uri.partition(",")
    assert kind in ("data:image/png;base64", "data:image/jpeg;base64"), kind
    image = Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB").resize((2, 2))
    return [float(value) for value in np.asarray(image).reshape(-1)]


class EmbeddingServer(OpenAIServer):
    """Use as a context manager. `before` are answers given first; pictures of `refuse` pixels width are refused."""

    def __init__(self, before: list[Answer] | None = None, packed: bool = False, refuse: int = 0) -> None:
        super().__init__([])
        self.before, self.packed, self.refuse = list(before or []), packed, refuse
        self.seen = 0

    def _next(self, asked: dict[str, Any], key: str) -> Answer:
        with self._lock:
            self.requests.append(asked)
            self.keys.append(key)
            if self.before:
                return self.before.pop(0)
        uris = uris_of(asked)
        for uri in uris:
            if self.refuse and Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).width == self.refuse:
                return error(400, "cannot read the image")
        with self._lock:
            self.seen += len(uris)
        data = [
            {"object": "embedding", "index": place, "embedding": self._packed(vector_of(uri))}
            for place, uri in enumerate(uris)
        ]
        body = {"object": "list", "model": asked["model"], "data": data[::-1], "usage": {"prompt_tokens": 1}}
        return Answer(json.dumps(body).encode())

    def _packed(self, vector: list[float]) -> Any:
        return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode() if self.packed else vector
