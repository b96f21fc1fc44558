"""Any vision model of transformers: CLIP, SigLIP, DINOv2, ..., from a folder or the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from contextrl_data.pipeline.errors import InputError, MissingExtra, SetupError
from contextrl_data.stages.images.encoders.base import TorchEncoder, TorchEncoderConfig, digest_of_path

if TYPE_CHECKING:
    from PIL.Image import Image


class TransformersConfig(TorchEncoderConfig):
    """Settings of a transformers model."""

    kind: Literal["transformers"]
    """A model of transformers."""
    model: str = Field(min_length=1)
    """Folder, or name on the Hub (`google/siglip2-base-patch16-224`, `facebook/dinov2-base`, ...)."""
    revision: str | None = None
    """Commit of the Hub's repository; name one, so that a build can be repeated."""

    def fingerprint(self) -> str:
        """The folder's content; on the Hub the revision names it."""
        return digest_of_path(Path(self.model))


class TransformersEncoder(TorchEncoder):
    """Image features of two-tower models, the pooled output of others, the first token where nothing is pooled."""

    def __init__(self, config: TransformersConfig) -> None:
        super().__init__(config)
        try:
            from transformers import AutoImageProcessor, AutoModel
        except ImportError as error:
            raise MissingExtra("images", "a transformers encoder") from error
        try:
            self._processor = AutoImageProcessor.from_pretrained(config.model, revision=config.revision)
            model, told = AutoModel.from_pretrained(config.model, revision=config.revision, output_loading_info=True)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            first = " ".join(str(error).split())[:160]
            raise SetupError(
                f"transformers cannot load {config.model!r}: {first}", "give a folder with a model and its processor"
            ) from error
        missing = sorted(key for key in told["missing_keys"] if not key.startswith("pooler."))
        if missing:
            raise InputError(
                f"the weights of {config.model!r} lack {len(missing)} tensors ({missing[0]}, ...)",
                "they would be random: use weights of this very architecture",
            )
        self._pools = not told["missing_keys"]  # many checkpoints come without their pooler
        self._model = self.place(model)

    def prepare(self, image: Image, data: bytes) -> npt.NDArray[np.float32]:
        """(3, h, w), as the model's own processor makes it."""
        made = self._processor(images=image, return_tensors="np")
        pixels: npt.NDArray[np.float32] = np.asarray(made["pixel_values"][0], dtype=np.float32)
        return pixels

    def forward(self, pixels: Any) -> Any:
        """(n, d)."""
        if hasattr(self._model, "get_image_features"):
            found = self._model.get_image_features(pixel_values=pixels)
        else:
            found = self._model(pixel_values=pixels)
        if isinstance(found, self.torch.Tensor):
            return found
        pooled = getattr(found, "pooler_output", None) if self._pools else None
        return found.last_hidden_state[:, 0] if pooled is None else pooled
