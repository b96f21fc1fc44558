"""Tiny models of Qwen2.5-VL and Qwen3-VL, built from a config, with their stock processors. These need torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from tiny_training import build_tokenizer

CHAT_TEMPLATES = Path(trl.__file__).parent / "chat_templates"
"""The models' own, as TRL ships them."""
EYES = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "spatial_merge_size": 2,
    "temporal_patch_size": 2, "out_hidden_size": 64,
}  # fmt: skip
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "qwen2.5-vl": ("Qwen2_5_VL", "Qwen2VL", {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}),
    "qwen3-vl": ("Qwen3VL", "Qwen3VL", {"patch_size": 16, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 256}),
}  # fmt: skip
"""Names of the classes, of the video part, and what else the vision tower's config asks for."""


def save_vlm(folder: Path, kind: str = "qwen2.5-vl") -> Path:
    """A tiny model of a kind, with its stock processor and chat template."""
    torch.manual_seed(0)
    name, video, eyes = KINDS[kind]
    tokenizer = build_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16, "max_position_embeddings": 16384,
        "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None,
        "initializer_range": 0.08, "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
    }  # fmt: skip
    config = getattr(transformers, f"{name}Config")(
        text_config=text,
        vision_config={**EYES, **eyes},
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    getattr(transformers, f"{name}ForConditionalGeneration")(config).save_pretrained(folder)
    size = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    images = transformers.Qwen2VLImageProcessor(patch_size=eyes["patch_size"], merge_size=2, size=size)
    template = (CHAT_TEMPLATES / f"{kind.replace('.', '_').replace('-', '_')}.jinja").read_text()
    whole = getattr(transformers, f"{name}Processor")
    whole(images, tokenizer, getattr(transformers, f"{video}VideoProcessor")(), chat_template=template).save_pretrained(
        folder
    )
    return folder
