"""Editors of diffusers: the pipelines' real code on small random weights, from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [images]")
pytest.importorskip("diffusers", reason="needs the extra [images]")

import tiny_editors  # noqa: E402
from image_rows import picture  # noqa: E402
from PIL import Image  # noqa: E402

from contextrl_data.pipeline.errors import ConfigError, SetupError  # noqa: E402
from contextrl_data.stages.images.decode import decode_rgb  # noqa: E402
from contextrl_data.stages.images.editors import load_editor  # noqa: E402
from contextrl_data.stages.images.editors.pipelines import DiffusersConfig, DiffusersEditor  # noqa: E402
from contextrl_data.stages.images.editors.untrained import UntrainedConfig  # noqa: E402

torch.set_num_threads(1)

SMALL: dict[str, dict[str, Any]] = {
    "instruct": {"num_inference_steps": 2},
    "inpaint": {"num_inference_steps": 2, "height": 64, "width": 64},
    "kontext": {
        "num_inference_steps": 2, "height": 32, "width": 32, "max_area": 1024, "_auto_resize": False,
        "max_sequence_length": 48,
    },
    "klein": {"num_inference_steps": 2, "height": 32, "width": 32, "max_sequence_length": 48},
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of small pipelines, by kind."""
    folder = tmp_path_factory.mktemp("editors")
    return {kind: tiny_editors.save(kind, folder) for kind in (*SMALL, "text_only")}


def editor(saved: dict[str, Path], kind: str, **more: Any) -> DiffusersEditor:
    parameters = {**SMALL.get(kind, {}), **more.pop("parameters", {})}
    config = {"kind": "diffusers", "model": str(saved[kind]), "parameters": parameters, "device": "cpu", **more}
    made = load_editor(DiffusersConfig.model_validate(config))
    assert isinstance(made, DiffusersEditor)
    return made


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=int)


@pytest.mark.parametrize("kind", list(SMALL))
def test_each_seed_gives_its_own_picture_and_the_same_one_again(saved: dict[str, Path], kind: str) -> None:
    made = editor(saved, kind)
    image = decode_rgb(picture(1))
    first = made.edit(image, "make it red", [1, 2, 3], None)
    again = made.edit(image, "make it red", [1, 2, 3], None)
    assert [each.mode for each in first] == ["RGB"] * 3
    assert all(np.array_equal(pixels(one), pixels(other)) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(pixels(first[0]), pixels(first[1]))


@pytest.mark.parametrize("kind", ["instruct", "kontext", "inpaint"])
def test_a_batch_is_the_same_as_one_by_one(saved: dict[str, Path], kind: str) -> None:
    image = decode_rgb(picture(1))
    together = editor(saved, kind, batch=3).edit(image, "make it red", [1, 2, 3], None)
    alone = editor(saved, kind, batch=1).edit(image, "make it red", [1, 2, 3], None)
    assert all(np.abs(pixels(one) - pixels(other)).max() <= 2 for one, other in zip(together, alone, strict=True))


def test_pictures_are_never_batched_where_a_list_means_references(saved: dict[str, Path]) -> None:
    made = editor(saved, "klein", batch=4)
    seen = []
    call = type(made._pipe).__call__

    def watched(self: Any, **asked: Any) -> Any:
        seen.append(type(asked["image"]))
        return call(self, **asked)

    made._pipe.__class__ = type("Flux2KleinPipeline", (made._pipe.__class__,), {"__call__": watched})
    assert len(made.edit(decode_rgb(picture(1)), "make it red", [1, 2], None)) == 2
    assert seen == [Image.Image, Image.Image]


def test_inpainting_edits_inside_the_region(saved: dict[str, Path]) -> None:
    made = editor(saved, "inpaint")
    image = decode_rgb(picture(1))
    whole, part = (made.edit(image, "a cup", [1], region)[0] for region in (None, [0, 0, 16, 16]))
    assert not np.array_equal(pixels(whole), pixels(part))


def test_what_cannot_edit_or_be_loaded_is_one_line(saved: dict[str, Path], tmp_path: Path) -> None:
    for kind, more, told in (
        ("text_only", {}, "StableDiffusionPipeline, which takes no image"),
        ("instruct", {"parameters": {"strenght": 1}}, "has no parameter 'strenght'"),
        ("instruct", {"model": str(tmp_path)}, "diffusers cannot load"),
        ("instruct", {"device": "cuda:77"}, "device 'cuda:77'"),
        ("instruct", {"quantization": {"backend": "no_such"}}, "diffusers cannot load"),
    ):
        with pytest.raises((ConfigError, SetupError), match=told) as caught:
            editor(saved, kind, **more)
        assert "\n" not in str(caught.value)


def test_the_untrained_editor_is_built_on_the_spot_and_says_what_it_is() -> None:
    config = UntrainedConfig(kind="untrained")
    image = decode_rgb(picture(1))
    before = torch.initial_seed()
    one, other = (load_editor(config).edit(image, "make it red", [1], None)[0] for _ in range(2))
    third = load_editor(UntrainedConfig(kind="untrained", seed=1)).edit(image, "make it red", [1], None)[0]
    assert np.array_equal(pixels(one), pixels(other))
    assert not np.array_equal(pixels(one), pixels(third))
    assert torch.initial_seed() == before
    assert config.label == "an untrained model"
    assert "diffusers=" in config.fingerprint()
