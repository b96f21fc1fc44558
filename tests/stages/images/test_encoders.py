"""The encoders on torch: the packaged one with its real weights, transformers with small own ones, open_clip apart."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [images]")
pytest.importorskip("PIL", reason="needs the extra [images]")

from image_rows import image_id, picture, vectors  # noqa: E402
from PIL import Image  # noqa: E402

from contextrl_data.pipeline.config import load  # noqa: E402
from contextrl_data.pipeline.errors import ConfigError, InputError, SetupError  # noqa: E402
from contextrl_data.stages.images.decode import decode_rgb  # noqa: E402
from contextrl_data.stages.images.embed import EmbedConfig  # noqa: E402
from contextrl_data.stages.images.encoders import load_encoder  # noqa: E402

torch.set_num_threads(1)


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


def test_open_clip_passes_its_own_tests_beside_a_torchvision_that_it_can_import() -> None:
    """torchvision next to torch's CPU build breaks whatever looks for it, so open_clip lies in a folder of its own."""
    apart = Path(sys.prefix) / "clip"
    if not apart.is_dir() and importlib.util.find_spec("open_clip") is None:
        pytest.skip("needs the extra [clip]")
    cases = Path(__file__).parent / "open_clip_cases.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)]
    path = os.pathsep.join([str(apart), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "3 passed" in done.stdout


def test_a_device_that_is_not_there_is_one_line() -> None:
    config = load(EmbedConfig, None, ["encoder.kind=efficientnet", "encoder.device=cuda:77"])
    with pytest.raises(ConfigError, match="device 'cuda:77' cannot be used here"):
        load_encoder(config.encoder)
