"""Image encoders, by config: packaged, open_clip, transformers, an HTTP server, or vectors made elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from contextrl_data.pipeline.errors import ContextRLError
from contextrl_data.stages.images.encoders.base import Encoder
from contextrl_data.stages.images.encoders.clip import OpenClipConfig, OpenClipEncoder
from contextrl_data.stages.images.encoders.efficientnet import EfficientNetConfig, EfficientNetEncoder
from contextrl_data.stages.images.encoders.http import HttpConfig, HttpEncoder
from contextrl_data.stages.images.encoders.hub import TransformersConfig, TransformersEncoder
from contextrl_data.stages.images.encoders.precomputed import PrecomputedConfig


def _packaged_unless_said(value: Any) -> Any:
    return {"kind": "efficientnet", **value} if isinstance(value, dict) else value


EncoderConfig = Annotated[
    EfficientNetConfig | OpenClipConfig | TransformersConfig | HttpConfig | PrecomputedConfig,
    Field(discriminator="kind"),
    BeforeValidator(_packaged_unless_said),
]
"""Settings of whichever encoder `kind` names."""


def load_encoder(config: Any) -> Encoder:
    """The encoder that a config names, ready to encode.

    Raises:
        SetupError, MissingExtra, InputError: packages or weights are not there.
    """
    match config:
        case EfficientNetConfig():
            return EfficientNetEncoder(config)
        case OpenClipConfig():
            return OpenClipEncoder(config)
        case TransformersConfig():
            return TransformersEncoder(config)
        case HttpConfig():
            return HttpEncoder(config)
    raise ContextRLError(f"{type(config).__name__} is no encoder of pictures")


__all__ = ["Encoder", "EncoderConfig", "PrecomputedConfig", "load_encoder"]
