"""open_clip itself, with weights of a small architecture. Run by test_encoders.py where open_clip can be imported."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import open_clip
import torch
from image_rows import image_id, picture, vectors

from contextrl_data.pipeline.config import load
from contextrl_data.pipeline.errors import ConfigError, UserError
from contextrl_data.stages.images.decode import decode_rgb
from contextrl_data.stages.images.embed import EmbedConfig, EmbedSecond
from contextrl_data.stages.images.encoders import load_encoder

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small architecture that open_clip itself knows, made at random and saved as a user would have them."""
    torch.manual_seed(0)
    open_clip.add_model_config(Path(__file__).parent / "tiny_clip.json")
    model = open_clip.create_model("tiny_clip", pretrained=None)
    path = tmp_path_factory.mktemp("clip") / "weights.pt"
    torch.save(model.state_dict(), path)
    return path


def test_open_clip_runs_with_the_users_weights(clip_weights: Path, tmp_path: Path) -> None:
    pictures = [picture(number) for number in range(5)]
    config = {"kind": "open_clip", "model": "tiny_clip", "pretrained": str(clip_weights)}
    found = vectors(config, tmp_path, pictures)
    model, _, transform = open_clip.create_model_and_transforms("tiny_clip", pretrained=str(clip_weights))
    with torch.inference_mode():
        wanted = model.eval().encode_image(transform(decode_rgb(pictures[3]))[None], normalize=True)[0].numpy()
    assert np.allclose(found[image_id(pictures[3])], wanted, atol=2e-3)


def test_open_clip_never_runs_without_weights_of_its_own(clip_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.pretrained"):
        load(EmbedConfig, None, ["encoder.kind=open_clip"])
    for settings, told in {
        (f"encoder.pretrained={tmp_path}/none.pt", "encoder.model=tiny_clip"): "no weights at",
        (f"encoder.pretrained={clip_weights}", "encoder.model=ViT-B-33"): "no model 'ViT-B-33'",
        ("encoder.pretrained=no_such_tag", "encoder.model=tiny_clip"): "cannot load tiny_clip",
        (f"encoder.pretrained={clip_weights}", "encoder.model=ViT-S-32"): "cannot load ViT-S-32",
    }.items():
        config = load(EmbedConfig, None, ["encoder.kind=open_clip", *settings])
        with pytest.raises(UserError, match=told) as caught:
            load_encoder(config.encoder)
        assert "\n" not in str(caught.value)


def test_weights_are_part_of_the_key_and_the_device_is_not(clip_weights: Path, tmp_path: Path) -> None:
    def print_of(*settings: str) -> str:
        named = ["encoder.kind=open_clip", "encoder.model=tiny_clip", *settings]
        stage = EmbedSecond(load(EmbedConfig, None, named))
        return stage.fingerprint() + str(stage.config.model_dump(mode="json"))

    other = tmp_path / "weights.pt"
    other.write_bytes(clip_weights.read_bytes())
    one = print_of(f"encoder.pretrained={other}")
    assert one == print_of(f"encoder.pretrained={other}", "encoder.device=cpu", "cache_dir=/x")
    other.write_bytes(clip_weights.read_bytes() + b"more")
    assert one != print_of(f"encoder.pretrained={other}")
