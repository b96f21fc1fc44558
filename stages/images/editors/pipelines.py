"""Any editing pipeline of diffusers: what a checkpoint's class takes is read from its signature."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from contextrl_data.pipeline.errors import ConfigError, MissingExtra, SetupError
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.images.editors.base import Editor
from contextrl_data.stages.images.encoders.base import digest_of_path, import_torch, torch_device

if TYPE_CHECKING:
    from PIL.Image import Image

BATCHES = {
    "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionXLInstructPix2PixPipeline",
    "FluxKontextPipeline",
    "StableDiffusionInpaintPipeline",
}
"""Pipelines where a list of pictures means one edit each. Everywhere else a list may mean references of one edit
(Flux2, QwenImageEditPlus): two edits in one call would then see each other's picture, and nothing would say so."""
DEFAULTS: dict[str, dict[str, Any]] = {
    "StableDiffusionInstructPix2PixPipeline": {"num_inference_steps": 50, "image_guidance_scale": 1.5},
    "StableDiffusionXLInstructPix2PixPipeline": {"num_inference_steps": 50, "image_guidance_scale": 1.5},
    "FluxKontextPipeline": {"guidance_scale": 2.5},
    "Flux2KleinPipeline": {"num_inference_steps": 4, "guidance_scale": 1.0},
    "QwenImageEditPipeline": {"true_cfg_scale": 4.0, "negative_prompt": " "},
    "QwenImageEditPlusPipeline": {"num_inference_steps": 40, "true_cfg_scale": 4.0, "negative_prompt": " "},
}
"""Parameters of a call where they are not configured; what is not named here is the pipeline's own default."""
_OURS = {"image", "prompt", "generator", "mask_image"}


class QuantizationConfig(StageConfig):
    """Settings of weights in fewer bits."""

    backend: str
    """As `PipelineQuantizationConfig` names it: `bitsandbytes_4bit`, `bitsandbytes_8bit`, `torchao`, `quanto`, ..."""
    options: dict[str, Any] = Field(default={})
    """Its options (`load_in_4bit: true`)."""
    components: tuple[str, ...] = ("transformer",)
    """Parts of the pipeline that are quantised."""


class DiffusersConfig(StageConfig):
    """Settings of a pipeline of diffusers."""

    kind: Literal["diffusers"]
    """A pipeline of diffusers."""
    model: str = Field(min_length=1)
    """Folder, or name on the Hub (`timbrooks/instruct-pix2pix`, `black-forest-labs/FLUX.1-Kontext-dev`, ...)."""
    revision: str | None = None
    """Commit of the Hub's repository; name one, so that a build can be repeated."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Numbers that the model computes in."""
    parameters: dict[str, Any] = Field(default={})
    """Parameters of the call (`num_inference_steps: 28`, `guidance_scale: 3.5`, `height: 512`)."""
    quantization: QuantizationConfig | None = None
    """Fewer bits; none where it is not configured."""
    batch: int = Field(default=4, ge=1)
    """Attempts in the model at a time, where the pipeline can."""
    device: str = Field(default="auto", exclude=True)
    """`auto` (cuda, else mps, else cpu) or a torch device."""
    offload: Literal["none", "model", "sequential"] = Field(default="none", exclude=True)
    """Keep in the device's memory all, one part at a time, or one layer at a time."""

    @property
    def label(self) -> str:
        """Who edited, for the record: no more of a folder than its name."""
        name = Path(self.model).name if Path(self.model).is_dir() else self.model
        return f"{name} at {self.revision}" if self.revision else name

    def fingerprint(self) -> str:
        """The folder's content; on the Hub the revision names it."""
        return digest_of_path(Path(self.model))


class DiffusersEditor(Editor):
    """One pipeline; threads take turns."""

    def __init__(self, config: DiffusersConfig) -> None:
        self.config = config
        self._torch = import_torch()
        self._turn = threading.Lock()
        self._pipe = self._load()
        self.name = type(self._pipe).__name__
        signature = inspect.signature(self._pipe.__call__).parameters
        if not {"image", "prompt"} <= signature.keys():
            raise ConfigError(
                f"{config.model} is a {self.name}, which takes no image with a prompt",
                "name an editing or inpainting pipeline",
            )
        own = signature.keys() - _OURS
        if unknown := sorted(config.parameters.keys() - own):
            raise ConfigError(f"{self.name} has no parameter {unknown[0]!r}", f"it has {', '.join(sorted(own))}")
        self._parameters = {**DEFAULTS.get(self.name, {}), **config.parameters}
        self._masked = "mask_image" in signature

    def _load(self) -> Any:
        try:
            quiet()
            from diffusers import DiffusionPipeline
            from diffusers.quantizers import PipelineQuantizationConfig
        except ImportError as error:
            raise MissingExtra("images", "editing pictures") from error
        config, more = self.config, {}
        device = torch_device(self._torch, config.device)
        try:
            if config.quantization is not None:
                more["quantization_config"] = PipelineQuantizationConfig(
                    quant_backend=config.quantization.backend,
                    quant_kwargs=config.quantization.options,
                    components_to_quantize=list(config.quantization.components),
                )
            pipe = DiffusionPipeline.from_pretrained(
                config.model, revision=config.revision, dtype=getattr(self._torch, config.dtype), **more
            )
            if config.offload == "none":
                pipe.to(device)
            elif config.offload == "model":
                pipe.enable_model_cpu_offload(device=device)
            else:
                pipe.enable_sequential_cpu_offload(device=device)
        except Exception as error:  # diffusers and the libraries behind its quantisers raise whatever they like
            told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise SetupError(
                f"diffusers cannot load {config.model!r}: {told}",
                "give a folder with a whole pipeline, or lower its needs",
            ) from error
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def edit(self, image: Image, instruction: str, seeds: Sequence[int], region: list[int] | None) -> list[Image]:
        """See `Editor.edit`."""
        size = self.config.batch if self.name in BATCHES else 1
        parts = [seeds[start : start + size] for start in range(0, len(seeds), size)]
        with self._turn:
            return [made for part in parts for made in self._call(image, instruction, part, region)]

    def _call(self, image: Image, instruction: str, seeds: Sequence[int], region: list[int] | None) -> list[Image]:
        # Noise is drawn on the CPU: the same on every device.
        generators = [self._torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        many = len(seeds) > 1
        asked: dict[str, Any] = {
            "image": [image] * len(seeds) if many else image,
            "prompt": [instruction] * len(seeds) if many else instruction,
            "generator": generators if many else generators[0],
        }
        if self._masked:
            mask = _mask(image.size, region)
            asked["mask_image"] = [mask] * len(seeds) if many else mask
        try:
            made: list[Image] = self._pipe(**asked, **self._parameters).images
        except self._torch.OutOfMemoryError as error:
            raise SetupError(
                f"{self.name} does not fit on the device",
                "set edit.editor.offload=model, fewer bits by quantization, or a lower batch",
            ) from error
        return [each.convert("RGB") for each in made]


def quiet() -> None:
    """No bars of these libraries, and no advice on packages, in the middle of what we show."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def _mask(size: tuple[int, int], region: list[int] | None) -> Image:
    """White where the edit may be: the region, or everywhere."""
    from PIL import Image as PILImage

    mask = PILImage.new("L", size, 255 if region is None else 0)
    if region is not None:
        mask.paste(255, tuple(region))
    return mask
