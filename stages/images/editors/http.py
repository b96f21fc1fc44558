"""An image API that speaks OpenAI's `images/edits`: OpenAI itself, or a local server."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.images.decode import decode_rgb
from contextrl_data.stages.images.editors.base import Editor, EditRefused
from contextrl_data.stages.images.http_client import RefusedByServer, Server, ServerConfig, Unanswered, refuse_secrets

if TYPE_CHECKING:
    from PIL.Image import Image


class HttpEditorConfig(ServerConfig):
    """Settings of an image API. It takes no seed: attempts differ as the service likes, and are kept once made."""

    kind: Literal["http"]
    """A server with an `/images/edits` route."""
    model: str = Field(min_length=1)
    """Model, as the server names it."""
    request: dict[str, str] = Field(default={})
    """More fields of the form (`quality: high`, `response_format: b64_json`)."""
    send_mask: bool = False
    """Send the proposed region as a mask, transparent where the edit may be."""

    _no_secret = field_validator("request")(refuse_secrets)

    @property
    def label(self) -> str:
        """Who edited, for the record."""
        return self.model

    def fingerprint(self) -> str:
        """A server says nothing of its weights: the model's name must tell versions apart."""
        return ""


class HttpEditor(Editor):
    """One request an attempt."""

    def __init__(self, config: HttpEditorConfig) -> None:
        self.config = config
        self._server = Server(config, "an image API")

    def close(self) -> None:
        """See `Editor.close`."""
        self._server.close()

    def edit(self, image: Image, instruction: str, seeds: Sequence[int], region: list[int] | None) -> list[Image]:
        """See `Editor.edit`."""
        files = {"image": ("image.png", _png(image), "image/png")}
        if region is not None and self.config.send_mask:
            files["mask"] = ("mask.png", _png(_mask(image.size, region)), "image/png")
        form = {"model": self.config.model, "prompt": instruction, "n": "1", **self.config.request}
        try:
            return [self._server.post("images/edits", _picture, data=form, files=files) for _ in seeds]
        except RefusedByServer as error:
            raise EditRefused(str(error)) from None
        except Unanswered as error:
            raise RowFailure("editor", str(error)) from None


def _picture(answer: dict[str, Any]) -> Image:
    entry = answer["data"][0]
    if not entry.get("b64_json"):
        raise ValueError("the answer holds no b64_json: set request.response_format to b64_json")
    return decode_rgb(base64.b64decode(entry["b64_json"]))


def _png(image: Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _mask(size: tuple[int, int], region: list[int]) -> Image:
    from PIL import Image as PILImage

    mask = PILImage.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), tuple(region))
    return mask
