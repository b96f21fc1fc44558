"""An untrained editor: a small InstructPix2Pix of diffusers with random weights, built on the spot.

It tests the way from a proposal to an accepted or refused picture on any machine: diffusers' own code runs, from a saved
folder, as it does with real weights. It has learnt nothing: its pictures are noise, and are there to be refused.
"""

from __future__ import annotations

import json
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.images.editors.pipelines import DiffusersConfig, DiffusersEditor, quiet
from contextrl_data.stages.images.encoders.base import import_torch

LIBRARIES = ("torch", "diffusers", "transformers")
"""What the random pictures depend on beside the seed."""


class UntrainedConfig(StageConfig):
    """Settings of an editor that has learnt nothing."""

    kind: Literal["untrained"]
    """Random weights: a test of the way, not a source of pairs. Its pictures are noise, and `accept` refuses them."""
    seed: int = 0
    """Draws the weights."""
    steps: int = Field(default=2, ge=1)
    """Steps of the diffusion."""

    @property
    def label(self) -> str:
        """Who edited, for the record."""
        return "an untrained model"

    def fingerprint(self) -> str:
        """Versions of the libraries that draw the weights and run them."""
        return " ".join(f"{name}={_version(name)}" for name in LIBRARIES)


class UntrainedEditor(DiffusersEditor):
    """The pipeline is saved to a temporary folder and loaded from it."""

    def __init__(self, config: UntrainedConfig) -> None:
        from diffusers.utils import logging

        logging.set_verbosity_error()  # a byte is a token here: every prompt is cut
        with tempfile.TemporaryDirectory(prefix="untrained-editor-") as folder:
            save_untrained(Path(folder), config.seed)
            parameters = {"num_inference_steps": config.steps}
            super().__init__(DiffusersConfig(kind="diffusers", model=folder, parameters=parameters, device="cpu"))


def save_untrained(folder: Path, seed: int = 0) -> None:
    """Build a StableDiffusionInstructPix2Pix of a million random weights and save it as a user's pipeline would be.

    Raises:
        MissingExtra: torch, diffusers or transformers is not installed.
    """
    torch = import_torch()
    try:
        quiet()
        from diffusers import StableDiffusionInstructPix2PixPipeline
    except ImportError as error:
        raise MissingExtra("images", "editing pictures") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        small_stable_diffusion(StableDiffusionInstructPix2PixPipeline, 8, folder).save_pretrained(folder)


def small_stable_diffusion(pipeline: Any, channels: int, folder: Path) -> Any:
    """A pipeline of the Stable Diffusion family; `channels` go into its UNet, `folder` takes the tokenizer's files."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    tokenizer = bytes_tokenizer(folder)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=32, in_channels=channels, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, norm_num_groups=8,
    )  # fmt: skip
    vae = AutoencoderKL(  # eight pixels a side make one latent, as in the real ones: attention over all pixels is dear
        block_out_channels=(16, 16, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, norm_num_groups=8,
    )  # fmt: skip
    return pipeline(
        vae=vae, text_encoder=small_clip_text(len(tokenizer)), tokenizer=tokenizer, unet=unet,
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def bytes_tokenizer(folder: Path) -> Any:
    """CLIP's tokenizer over single bytes: no vocabulary has to be fetched."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*alphabet, *(f"{one}</w>" for one in alphabet), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({name: place for place, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def small_clip_text(tokens: int) -> Any:
    """CLIP's text encoder with two layers."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=2, vocab_size=tokens,
            projection_dim=32, bos_token_id=tokens - 2, eos_token_id=tokens - 1, pad_token_id=tokens - 1,
        )
    ).eval()  # fmt: skip


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
