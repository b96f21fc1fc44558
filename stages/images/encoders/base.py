"""What every encoder is, and what the encoders on torch share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from contextrl_data.pipeline.errors import ConfigError, MissingExtra, SetupError, first_line
from contextrl_data.pipeline.stage import StageConfig

if TYPE_CHECKING:
    from PIL.Image import Image

Vectors = npt.NDArray[np.float32]
"""(n, d), float32."""


class Encoder(ABC):
    """Pictures to vectors, in two steps: `prepare` runs in many threads while `encode` keeps the device busy."""

    fixed_batch: ClassVar[bool] = False
    """Whether every batch must have one size. Kernels choose their order of summation by it: at one size a vector's
    bits are its own, whatever else is in the batch."""

    @abstractmethod
    def prepare(self, image: Image, data: bytes) -> Any:
        """One picture as the model takes it. `image` is RGB; `data` are the bytes that it was decoded from."""

    @abstractmethod
    def encode(self, prepared: Sequence[Any]) -> Vectors:
        """Vectors of a batch, (n, d), of any length."""

    def close(self) -> None:  # noqa: B027  (most hold nothing open)
        """Give back what is held open."""


class TorchEncoderConfig(StageConfig):
    """Where a model runs. What comes out differs in the last bits at most."""

    device: str = Field(default="auto", exclude=True)
    """`auto` (cuda, else mps, else cpu) or a torch device: `cpu`, `cuda:1`, ..."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Numbers that the model computes in."""


class TorchEncoder(Encoder):
    """Base of encoders whose `forward` maps a float tensor (n, 3, h, w) to features (n, d)."""

    fixed_batch = True

    def __init__(self, config: TorchEncoderConfig) -> None:
        self.torch = import_torch()
        self.device = torch_device(self.torch, config.device)
        self.dtype = getattr(self.torch, config.dtype)

    def place(self, model: Any) -> Any:
        """The model on its device, for inference."""
        return model.to(self.device, self.dtype, memory_format=self.torch.channels_last).eval()

    @abstractmethod
    def forward(self, pixels: Any) -> Any:
        """Features of a batch that is on the device already."""

    def encode(self, prepared: Sequence[Any]) -> Vectors:
        """See `Encoder.encode`."""
        torch = self.torch
        pixels = torch.from_numpy(np.stack(prepared))
        try:
            with torch.inference_mode(), _without_tf32(torch):
                pixels = pixels.to(self.device, self.dtype, memory_format=torch.channels_last)
                found: Vectors = self.forward(pixels).float().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise SetupError(
                f"a batch of {len(prepared)} pictures does not fit on {self.device}", "lower embed.batch"
            ) from error
        return found


def import_torch() -> Any:
    """torch, or one line that says how to get it."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("images", "encoding images") from error
    return torch


def torch_device(torch: Any, wanted: str) -> Any:
    """The device that a config names.

    Raises:
        ConfigError: no such device on this machine.
    """
    if wanted == "auto":
        mps = getattr(torch.backends, "mps", None)
        wanted = "cuda" if torch.cuda.is_available() else "mps" if mps and mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = first_line(error, 120)
        raise ConfigError(f"device {wanted!r} cannot be used here: {first}", "use `auto` or `cpu`") from error
    return device


def _without_tf32(torch: Any) -> Any:
    """Full float32 on GPUs too: a vector should not depend on the machine more than it must."""
    return torch.backends.cudnn.flags(allow_tf32=False) if torch.cuda.is_available() else nullcontext()


def digest_of_path(path: Path) -> str:
    """sha256 of a file, or of all files of a folder with their names; "" where there is nothing at the path."""
    if path.is_file():
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        total.update(f"{file.relative_to(path)}\0{digest_of_path(file)}\n".encode())
    return total.hexdigest()
