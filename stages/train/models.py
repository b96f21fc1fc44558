"""Loading the model and its tokenizer or processor, and what of it is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import ConfigError, InputError, SetupError, first_line
from contextrl_data.stages.train.config import EngineConfig, PairsConfig


def load_processor(model: str, config: PairsConfig | None = None, options: Mapping[str, Any] | None = None) -> Any:
    """The processor of a VLM, the tokenizer of any other model; left padding. `options` are handed to it.

    Raises:
        InputError: there is no such model.
        SetupError: its processor needs torchvision, as those of most VLMs do, and it is not installed.
    """
    from transformers import AutoProcessor, AutoTokenizer

    if not model:
        raise ConfigError("no model is given", "set model to a folder or a Hub id")
    try:
        sees = sees_images(config_of(model))
        loaded = (AutoProcessor if sees else AutoTokenizer).from_pretrained(
            model, padding_side="left", **(options or {})
        )
    except (OSError, ValueError, ImportError, AttributeError) as error:
        if "video" in str(error).lower() or "torchvision" in str(error).lower():
            raise SetupError(
                f"the processor of {model} needs torchvision: {first_line(error, 120)}",
                "pip install torchvision, of the version that goes with the installed torch",
            ) from error
        if isinstance(error, ImportError | AttributeError):
            raise
        raise InputError(
            f"cannot load model {model}: {first_line(error)}",
            "give a folder with config.json and a tokenizer, or a Hub id that can be reached",
        ) from error
    tokenizer = getattr(loaded, "tokenizer", loaded)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if config is not None and config.chat_template is not None:
        if not config.chat_template.is_file():
            raise ConfigError(
                f"pairs.chat_template {config.chat_template} is no file", "name a Jinja file, or leave it unset"
            )
        template = config.chat_template.read_text(encoding="utf-8")
        loaded.chat_template = tokenizer.chat_template = template
    return loaded


def load_model(model: str, engine: EngineConfig) -> Any:
    """The model with its language head, in the configured type.

    Raises:
        InputError: its weights are not there, or torn.
        ConfigError: there is no such attention for it.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    how: dict[str, Any] = {"dtype": getattr(torch, dtype_of(engine))}
    if engine.attention:
        how["attn_implementation"] = engine.attention
    sees = sees_images(config_of(model))
    kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    try:
        loaded = kind.from_pretrained(model, **how)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot load the weights of {model}: {first_line(error, 160)}", "download or write the model again"
        ) from error
    except (ValueError, ImportError) as error:
        if not engine.attention or ("attn" not in str(error).lower() and "attention" not in str(error).lower()):
            raise
        raise ConfigError(
            f"engine.attention {engine.attention}: {first_line(error, 160)}",
            "leave engine.attention unset, or name one that the model has",
        ) from error
    if sees and engine.freeze_vision:
        freeze_vision(loaded)
    return loaded


def dtype_of(engine: EngineConfig) -> str:
    """The weights' type by name."""
    import torch

    if engine.dtype != "auto":
        return engine.dtype
    fast = not engine.cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bfloat16" if fast else "float32"


def adapter_base(model: str) -> str | None:
    """The model that a folder's LoRA adapter belongs to; None where the folder holds a whole model."""
    file = Path(model) / "adapter_config.json"
    return str(json.loads(file.read_text())["base_model_name_or_path"]) if file.is_file() else None


def config_of(model: str) -> Any:
    """The config of a model, or of the one that an adapter belongs to."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(adapter_base(model) or model)


def sees_images(config: Any) -> bool:
    """Whether a model's config is that of a vision-language model."""
    return getattr(config, "vision_config", None) is not None


VISION = ("visual", "vision_tower", "vision_model")
"""What the vision tower is called in transformers' models."""


def freeze_vision(model: Any) -> int:
    """Stop training the vision tower; returns how many parameters that were."""
    frozen = 0
    for name, parameter in model.named_parameters():
        if any(part in VISION for part in name.split(".")):
            parameter.requires_grad_(False)
            frozen += parameter.numel()
    return frozen


def require_length(model: str, processor: Any, config: PairsConfig) -> None:
    """Refuse choice prompts longer than the model's context.

    Raises:
        ConfigError: `pairs.max_tokens` is more than the model reads.
    """
    text = config_of(model).get_text_config()
    longest = getattr(text, "max_position_embeddings", None)
    if longest and config.max_tokens > longest:
        raise ConfigError(
            f"pairs.max_tokens {config.max_tokens} is more than the {longest} positions of {model}",
            f"set pairs.max_tokens to {longest} or less; longer pairs are then dropped",
        )
