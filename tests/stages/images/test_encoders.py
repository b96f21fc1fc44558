"""The encoders on torch: the packaged one with its real weights, open_clip and transformers with small own ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch = pytest.importorskip("torch", reason="needs the extra [images]")
pytest.importorskip("PIL", reason="needs the extra [images]")

from image_rows import Table, image_id, picture, question  # noqa: E402
from PIL import Image  # noqa: E402

from contextrl_data.pipeline.config import load  # noqa: E402
from contextrl_data.pipeline.errors import ConfigError, InputError, SetupError, UserError  # noqa: E402
from contextrl_data.stages.images.decode import decode_rgb  # noqa: E402
from contextrl_data.stages.images.embed import Embed, EmbedConfig, EmbedSecond  # noqa: E402
from contextrl_data.stages.images.encoders import load_encoder  # noqa: E402

torch.set_num_threads(1)


def vectors(config: dict[str, Any], cache: Path, pictures: list[bytes], batch: int = 4) -> dict[str, Any]:
    """Vectors by picture id."""
    settings = EmbedConfig.model_validate({"encoder": config, "batch": batch, "cache_dir": cache})
    rows = Table([question(number, data) for number, data in enumerate(pictures)])
    return {row["id"]: row["vector"] for row in Embed(settings).gather(rows).rows}


def edited(data: bytes, **paste: Any) -> bytes:
    image = decode_rgb(data)
    image.paste(paste.get("colour", (255, 0, 0)), (10, 10, 40, 40))
    import io

    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_the_packaged_encoder_puts_an_edit_near_its_original(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra [images]")
    data = pytest.importorskip("skimage.data")
    import io

    photos = []
    for name in ("astronaut", "coffee"):
        out = io.BytesIO()
        Image.fromarray(getattr(data, name)()).save(out, "PNG")
        photos.append(out.getvalue())
    photos.append(edited(photos[0]))
    found = list(vectors({"kind": "efficientnet"}, tmp_path, photos).values())
    near, far = float(found[0] @ found[2]), float(found[0] @ found[1])
    assert found[0].shape == (1280,)
    assert near > 0.85 > 0.5 > far


def test_a_vector_does_not_depend_on_its_company_or_on_kills(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra [images]")
    pictures = [picture(number) for number in range(7)]
    config = {"kind": "efficientnet"}
    whole = vectors(config, tmp_path / "a", pictures)
    vectors(config, tmp_path / "b", pictures[2:4])
    parts = vectors(config, tmp_path / "b", pictures)
    turned = vectors(config, tmp_path / "c", pictures[::-1])
    for other in (parts, turned):
        assert all(np.array_equal(whole[name], other[name]) for name in whole)


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit_without_pooler"])
def test_models_of_transformers_run_from_a_folder(tmp_path: Path, kind: str) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra [images]")
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    eyes = {**small, "image_size": 32, "patch_size": 8}
    if kind == "clip":
        words = {**small, "vocab_size": 99, "eos_token_id": 2}
        model = transformers.CLIPModel(
            transformers.CLIPConfig(text_config=words, vision_config=eyes, projection_dim=16)
        )
        processor, width = transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32), 16
    elif kind == "siglip":
        model = transformers.SiglipModel(
            transformers.SiglipConfig(text_config={**small, "vocab_size": 99}, vision_config=eyes)
        )
        processor, width = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}), 32
    elif kind == "dinov2":
        model = transformers.Dinov2Model(
            transformers.Dinov2Config(
                **{name: value for name, value in eyes.items() if name != "intermediate_size"}, mlp_ratio=1
            )
        )
        processor, width = transformers.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size=32), 32
    else:
        model = transformers.ViTModel(transformers.ViTConfig(**eyes), add_pooling_layer=False)
        processor, width = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}), 32
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    pictures = [picture(number) for number in range(5)]
    found = vectors({"kind": "transformers", "model": str(tmp_path / "model")}, tmp_path / "cache", pictures)
    assert [vector.shape for vector in found.values()] == [(width,)] * 5
    assert len({vector.tobytes() for vector in found.values()}) == 5
    pixels = processor(images=decode_rgb(pictures[0]), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        if hasattr(model, "get_image_features"):
            wanted = model.eval().get_image_features(pixels)
            wanted = wanted if isinstance(wanted, torch.Tensor) else wanted.pooler_output
        else:
            out = model.eval()(pixels)
            wanted = out.pooler_output if kind == "dinov2" else out.last_hidden_state[:, 0]
    wanted = torch.nn.functional.normalize(wanted[0], dim=0).numpy()
    assert np.allclose(found[image_id(pictures[0])], wanted, atol=2e-3)


def test_weights_that_lack_a_part_are_refused(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra [images]")
    eyes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8}
    model = transformers.Dinov2Model(transformers.Dinov2Config(**eyes))
    state = {name: value for name, value in model.state_dict().items() if "layer.1." not in name}
    model.save_pretrained(tmp_path, state_dict=state)
    transformers.BitImageProcessorPil().save_pretrained(tmp_path)
    config = load(EmbedConfig, None, ["encoder.kind=transformers", f"encoder.model={tmp_path}"])
    with pytest.raises(InputError, match=r"lack \d+ tensors"):
        load_encoder(config.encoder)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(SetupError, match="cannot load"):
        load_encoder(config.encoder)


@pytest.fixture(scope="module")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small architecture that open_clip itself knows, made at random and saved as a user would have them."""
    open_clip = pytest.importorskip("open_clip", reason="needs the extra [clip]")
    torch.manual_seed(0)
    open_clip.add_model_config(Path(__file__).parent / "tiny_clip.json")
    model = open_clip.create_model("tiny_clip", pretrained=None)
    path = tmp_path_factory.mktemp("clip") / "weights.pt"
    torch.save(model.state_dict(), path)
    return path


def test_open_clip_runs_with_the_users_weights(clip_weights: Path, tmp_path: Path) -> None:
    import open_clip

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


def test_a_device_that_is_not_there_is_one_line() -> None:
    config = load(EmbedConfig, None, ["encoder.kind=efficientnet", "encoder.device=cuda:77"])
    with pytest.raises(ConfigError, match="device 'cuda:77' cannot be used here"):
        load_encoder(config.encoder)
