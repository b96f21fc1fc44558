"""CLIP models by open_clip, with weights that the user has or that the Hub gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from contextrl_data.pipeline.errors import ConfigError, InputError, MissingExtra, SetupError, first_line
from contextrl_data.stages.images.encoders.base import TorchEncoder, TorchEncoderConfig, digest_of_path

if TYPE_CHECKING:
    from PIL.Image import Image


class OpenClipConfig(TorchEncoderConfig):
    """Settings of an open_clip model."""

    kind: Literal["open_clip"]
    """A model of open_clip."""
    model: str = "ViT-B-32"
    """Architecture, as `open_clip.list_models()` names it, or `hf-hub:owner/name`."""
    pretrained: str = Field(min_length=1)
    """Weights: a tag (`laion2b_s34b_b79k`) or a file. Never none: pairs mined with random weights mean nothing."""

    def fingerprint(self) -> str:
        """The weights' content where they are a file; the tag names them otherwise."""
        return digest_of_path(Path(self.pretrained))


class OpenClipEncoder(TorchEncoder):
    """The image tower, before its length is made one."""

    def __init__(self, config: OpenClipConfig) -> None:
        super().__init__(config)
        open_clip = import_open_clip()
        known = open_clip.list_models()
        if config.model not in known and ":" not in config.model:
            raise ConfigError(f"open_clip has no model {config.model!r}", f"it has {', '.join(known[:6])}, ...")
        file = Path(config.pretrained)
        if file.suffix in (".pt", ".pth", ".bin", ".safetensors") and not file.is_file():
            raise InputError(f"no weights at {file}", "give the file's path, or one of open_clip's tags")
        try:
            model, _, self._transform = open_clip.create_model_and_transforms(
                config.model, pretrained=config.pretrained, device="cpu"
            )
        except (
            Exception
        ) as error:  # open_clip asserts, raises RuntimeError, ValueError, ... for weights that do not fit
            first = " ".join(str(error).split())[:160]
            raise SetupError(
                f"open_clip cannot load {config.model} with the weights {config.pretrained!r}: {first}",
                "name a file of weights of this architecture, or a tag of open_clip.list_pretrained()",
            ) from error
        self._model = self.place(model)

    def prepare(self, image: Image, data: bytes) -> npt.NDArray[np.float32]:
        """(3, h, w), as the model's own transform makes it."""
        pixels: npt.NDArray[np.float32] = self._transform(image).numpy()
        return pixels

    def forward(self, pixels: Any) -> Any:
        """(n, d)."""
        return self._model.encode_image(pixels)


def import_open_clip() -> Any:
    """open_clip, or one line. Its import also fails where torchvision is of another build than torch."""
    try:
        import open_clip
    except ModuleNotFoundError as error:
        raise MissingExtra("clip", "an open_clip encoder") from error
    except (ImportError, RuntimeError) as error:
        first = first_line(error, 120)
        raise SetupError(
            f"open_clip does not load: {first}",
            "torch and torchvision must be of one build: install both from one index",
        ) from error
    return open_clip
