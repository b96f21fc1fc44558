"""Editing pipelines of diffusers with a few random weights, saved to a folder as a user would have them.

Their pictures are noise; what runs is the pipelines' own code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    FluxTransformer2DModel,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
)

from contextrl_data.stages.images.editors.untrained import bytes_tokenizer, small_clip_text, small_stable_diffusion

_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{{ c.text }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
)
_STABLE = {
    "instruct": (StableDiffusionInstructPix2PixPipeline, 8),
    "inpaint": (StableDiffusionInpaintPipeline, 9),
    "text_only": (StableDiffusionPipeline, 4),
}


def save(kind: str, folder: Path) -> Path:
    """Make and save `instruct`, `inpaint`, `text_only`, `kontext` or `klein`."""
    torch.manual_seed(0)
    made = (
        {"kontext": _kontext, "klein": _klein}[kind](folder)
        if kind not in _STABLE
        else small_stable_diffusion(*_STABLE[kind], folder)
    )
    made.save_pretrained(folder / kind)
    return folder / kind


def _bytes_fast(special: list[str], end: str, pad: str) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={one: place for place, one in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=pad, additional_special_tokens=special,
        model_max_length=2048,
    )  # fmt: skip
    made.chat_template = _CHAT
    return made


def _kontext(folder: Path) -> Any:
    tokenizer, second = bytes_tokenizer(folder), _bytes_fast([], "</s>", "<pad>")
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    vae = AutoencoderKL(
        sample_size=32, block_out_channels=(4,), layers_per_block=1, latent_channels=1, norm_num_groups=1,
        use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5,
    )  # fmt: skip
    return FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=small_clip_text(len(tokenizer)),
        tokenizer=tokenizer, tokenizer_2=second, transformer=transformer, image_encoder=None, feature_extractor=None,
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(second), d_model=32, d_ff=37, d_kv=8, num_heads=4, num_layers=2)
        ),
    )  # fmt: skip


def _klein(folder: Path) -> Any:
    tokenizer = _bytes_fast(["<|im_start|>"], "<|im_end|>", "<|endoftext|>")
    language = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=28,
            num_attention_heads=2, num_key_value_heads=2, head_dim=8,
        )
    )  # fmt: skip
    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=256, axes_dims_rope=[4, 4, 4, 4], guidance_embeds=False,
    )  # fmt: skip
    vae = AutoencoderKLFlux2(
        sample_size=32, down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(4,), layers_per_block=1, latent_channels=1, norm_num_groups=1, use_quant_conv=False,
        use_post_quant_conv=False,
    )  # fmt: skip
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=language, tokenizer=tokenizer,
        transformer=transformer,
    )  # fmt: skip
