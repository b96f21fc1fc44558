"""An embedding server that speaks OpenAI's protocol with pictures in it: vLLM, Infinity, Jina, ..."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.images.encoders.base import Encoder, Vectors
from contextrl_data.stages.images.http_client import RefusedByServer, Server, ServerConfig, Unanswered, refuse_secrets

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112


class HttpConfig(ServerConfig):
    """Settings of an embedding server."""

    kind: Literal["http"]
    """A server with an `/embeddings` route."""
    model: str = Field(min_length=1)
    """Model, as the server names it."""
    form: Literal["messages", "input", "image"] = "messages"
    """How a picture travels: in a chat message (vLLM), as a data URI in `input` (Infinity), or as `{"image": ...}` in
    `input` (Jina)."""
    request: dict[str, Any] = Field(default={})
    """More fields of the request (`modality: image`, `dimensions: 512`)."""
    max_side: int = Field(default=1024, ge=16)
    """Larger pictures are made smaller before they are sent, pixels of the longer side."""

    _no_secret = field_validator("request")(refuse_secrets)

    def fingerprint(self) -> str:
        """A server says nothing of its weights: the model's name must tell versions apart."""
        return ""


class HttpEncoder(Encoder):
    """Asks a server; a picture that it refuses has a vector of NaN."""

    def __init__(self, config: HttpConfig) -> None:
        self.config = config
        self._server = Server(config, "an embedding server")
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="embeddings")

    def close(self) -> None:
        """See `Encoder.close`."""
        self._pool.shutdown(cancel_futures=True)
        self._server.close()

    def prepare(self, image: Image, data: bytes) -> str:
        """The picture as a data URI: its own bytes where a server can be trusted to see the same in them."""
        return data_uri(image, data, self.config.max_side)

    def encode(self, prepared: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        if self.config.form == "messages":
            found = list(self._pool.map(lambda uri: self._ask([uri])[0], prepared))
        else:
            share = -(-len(prepared) // self.config.concurrency)
            parts = [prepared[start : start + share] for start in range(0, len(prepared), share)]
            found = [vector for part in self._pool.map(self._ask, parts) for vector in part]
        width = max((len(vector) for vector in found), default=0) or 1  # all may have been refused
        rows = [vector if vector else [float("nan")] * width for vector in found]
        if any(len(row) != width for row in rows):
            raise SetupError(f"{self.config.url} gives vectors of different dimensions", "set the server to one model")
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), width)

    def _ask(self, uris: Sequence[str]) -> list[list[float]]:
        """One vector a picture; [] for a picture that the server refuses."""
        try:
            return self._server.post("embeddings", _vectors_of, json=self._body(uris))
        except RefusedByServer:
            return [[]] if len(uris) == 1 else [vector for uri in uris for vector in self._ask([uri])]
        except Unanswered as error:
            raise SetupError(str(error), "check the server, then run again: what is done is kept") from None

    def _body(self, uris: Sequence[str]) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.config.model, "encoding_format": "float"}
        if self.config.form == "messages":
            content = [{"type": "image_url", "image_url": {"url": uris[0]}}]
            body["messages"] = [{"role": "user", "content": content}]
        elif self.config.form == "input":
            body["input"] = list(uris)
        else:
            body["input"] = [{"image": uri} for uri in uris]
        return {**body, **self.config.request}


def _vectors_of(answer: dict[str, Any]) -> list[list[float]]:
    """Vectors of an answer, by index: the protocol does not promise an order."""
    entries = sorted(answer["data"], key=lambda entry: entry["index"])
    return [_floats(entry["embedding"]) for entry in entries]


def _floats(value: Any) -> list[float]:
    if isinstance(value, str):
        return [float(number) for number in np.frombuffer(base64.b64decode(value), dtype="<f4")]
    return [float("nan") if number is None else float(number) for number in value]


def data_uri(image: Image, data: bytes, max_side: int) -> str:
    """A picture as a data URI of at most `max_side` pixels a side."""
    if max(image.size) <= max_side:
        if data.startswith(b"\xff\xd8") and not _turned(data):
            return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        if data.startswith(b"\x89PNG"):
            return f"data:image/png;base64,{base64.b64encode(data).decode()}"
        return _encoded(image, "PNG")
    small = image.copy()
    small.thumbnail((max_side, max_side))
    return _encoded(small, "JPEG", quality=95)


def _encoded(image: Image, form: str, **options: Any) -> str:
    out = io.BytesIO()
    image.save(out, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"


def _turned(data: bytes) -> bool:
    from PIL import Image as PILImage

    with PILImage.open(io.BytesIO(data)) as opened:
        return bool(opened.getexif().get(_ORIENTATION, 1) != 1)
