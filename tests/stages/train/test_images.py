"""Image pairs: a tiny Qwen2.5-VL built from a config reads two pictures in one prompt."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pillow
from tiny_training import build_tokenizer
from transformers import (
    AutoProcessor,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.train import models, run
from contextrl_data.stages.train.config import PairsConfig, TrainConfig
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.options import find_options
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs, choice_conversation
from contextrl_data.stages.train.probe_server import with_images
from contextrl_data.stages.train.tasks import choice_task

Build = Callable[..., TrainConfig]
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30)}
TEMPLATE = "{question} {answer} {context_a} {context_b}"


class NoVideo(Qwen2_5_VLProcessor):  # type: ignore[misc]
    """The stock processor without its video part, which needs torchvision; registered as anyone's own processor is."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def processor() -> NoVideo:
    tokenizer = build_tokenizer()
    size = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    images = Qwen2VLImageProcessorPil(patch_size=14, merge_size=2, temporal_patch_size=2, size=size)
    return NoVideo(images, tokenizer, tokenizer.chat_template)


def save_vlm(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 512,
        "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None,
        "initializer_range": 0.08, "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 64, "window_size": 56,
        "fullatt_block_indexes": [1],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    processor().save_pretrained(folder)
    AutoProcessor.register(Qwen2_5_VLConfig, NoVideo, exist_ok=True)
    return folder


def picture(colour: str, rng: random.Random) -> dict[str, Any]:
    image = Pillow.new("RGB", (56, 56), (rng.randrange(60, 200),) * 3)
    image.paste(COLOURS[colour], (14, 14, 42, 42))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture(scope="module")
def image_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs and tasks with pictures, as the image build exports them."""
    root = tmp_path_factory.mktemp("images")
    rng = random.Random(0)
    strings = ("id", "question", "answer", "answer_neg", "domain", "method", "group")
    features = Features({"image_pos": Image(), "image_neg": Image(), **{name: Value("string") for name in strings}})
    for split in ("train", "validation"):
        rows = []
        for i in range(16):
            right, wrong = rng.sample(list(COLOURS), 2)
            rows.append(
                {
                    "image_pos": picture(right, rng), "image_neg": picture(wrong, rng), "id": f"{split}{i}",
                    "question": "Which?", "answer": right, "answer_neg": wrong, "domain": "scene",
                    "method": "render", "group": f"{split}{i}",
                }
            )  # fmt: skip
        (root / "pairs" / "data").mkdir(parents=True, exist_ok=True)
        dataset = Dataset.from_list(rows, features=features)
        dataset.to_parquet(root / "pairs" / "data" / f"{split}-00000-of-00001.parquet")
    tasks = [{"question": "Say the colour.", "answer": c, "images": [picture(c, rng)]} for c in [*COLOURS] * 3]
    features = Features({"question": Value("string"), "answer": Value("string"), "images": [Image()]})
    (root / "tasks" / "data").mkdir(parents=True)
    Dataset.from_list(tasks, features=features).to_parquet(root / "tasks" / "data" / "train-00000-of-00001.parquet")
    return root


@pytest.fixture
def image_settings(settings: Build, image_data: Path, tmp_path: Path) -> Build:
    """Settings of a run on pictures."""
    model = save_vlm(tmp_path / "vlm")

    def build(**parts: Any) -> TrainConfig:
        own: dict[str, Any] = {
            "model": str(model),
            "pairs": {"dataset": str(image_data / "pairs"), "template": TEMPLATE, "eval_limit": 8},
            "tasks": {"dataset": str(image_data / "tasks"), "rewards": ["tiny_training:length_said"]},
            "engine": {"freeze_vision": False},
        }
        for name, value in parts.items():
            own[name] = {**own.get(name, {}), **value} if isinstance(value, dict) else value
        return settings(**own)

    return build


def test_pictures_stand_where_the_template_says(image_data: Path) -> None:
    config = PairsConfig(dataset=str(image_data / "pairs"), template=TEMPLATE)
    pairs = Pairs.load(config, "train", None)
    row = pairs[0]
    for flipped, order in ((False, ["image_pos", "image_neg"]), (True, ["image_neg", "image_pos"])):
        messages, images = choice_conversation(row, config, flipped=flipped)
        assert [part["type"] for part in messages[0]["content"]] == ["text", "image", "text", "image"]
        assert [image.tobytes() for image in images] == [row[name].tobytes() for name in order]
    batch = ChoiceCollator(processor(), config, find_options(processor(), ("A", "B"), {}))(
        [row, row], [False, True], [1.0, 1.0]
    )
    assert batch.inputs["image_grid_thw"].shape == (4, 3)
    assert batch.right[0] == batch.wrong[1]


def test_a_server_gets_the_pictures_pixel_for_pixel_in_their_places(image_data: Path) -> None:
    config = PairsConfig(dataset=str(image_data / "pairs"), template=TEMPLATE)
    messages, images = choice_conversation(Pairs.load(config, "train", None)[0], config, flipped=True)
    (sent,) = with_images(messages, images)
    assert [part["type"] for part in sent["content"]] == ["text", "image_url", "text", "image_url"]
    for part, image in zip(sent["content"][1::2], images, strict=True):
        head, _, data = part["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        assert Pillow.open(io.BytesIO(base64.b64decode(data))).tobytes() == image.convert("RGB").tobytes()


def test_a_choice_task_names_its_pictures_by_place(image_data: Path) -> None:
    config = PairsConfig(
        dataset=str(image_data / "pairs"), template="{question} {answer} A: {context_a} B: {context_b}"
    )
    row = Pairs.load(config, "train", None)[0]
    for flipped in (False, True):
        messages, images = choice_task(row, config, flipped=flipped)
        assert messages[0]["content"].endswith("A: the first image B: the second image")
        assert images[flipped].tobytes() == row["image_pos"].tobytes()


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is installed")
def test_a_stock_processor_without_torchvision_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    folder = save_vlm(tmp_path / "vlm")
    settings = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps({**settings, "processor_class": "Qwen2_5_VLProcessor"}))
    AutoProcessor.register(Qwen2_5_VLConfig, Qwen2_5_VLProcessor, exist_ok=True)
    with pytest.raises(SetupError, match=r"needs torchvision: .* — pip install torchvision"):
        models.load_processor(str(folder))


def test_pixels_are_bounded_by_the_processors_own_setting_and_the_bound_is_saved(
    image_data: Path, tmp_path: Path
) -> None:
    folder = save_vlm(tmp_path / "vlm")
    config = PairsConfig(dataset=str(image_data / "pairs"), template=TEMPLATE)
    row = Pairs.load(config, "train", None)[0]

    def patches(found: Any) -> list[list[int]]:
        batch = ChoiceCollator(found, config, find_options(found, ("A", "B"), {}))([row], [False], [1.0])
        grid: list[list[int]] = batch.inputs["image_grid_thw"].tolist()
        return grid

    bounded = models.load_processor(str(folder), config, {"size": {"shortest_edge": 28 * 28, "longest_edge": 28 * 28}})
    assert patches(models.load_processor(str(folder), config)) == [[1, 4, 4]] * 2
    assert patches(bounded) == [[1, 2, 2]] * 2
    bounded.save_pretrained(folder)
    assert patches(models.load_processor(str(folder), config)) == [[1, 2, 2]] * 2


@pytest.mark.parametrize("objective", ["contextrl", "da_sft", "da_rl"])
def test_every_objective_trains_on_pictures(image_settings: Build, objective: str) -> None:
    config = image_settings(objective=objective, controls={"rl_share": 0.5})
    result = run.run_train(config)
    assert result.selection_after is not None
    name = {"contextrl": "contrast/loss", "da_sft": "sft/loss", "da_rl": "rewards/selection/mean"}[objective]
    assert any(name in line for line in RunFolder(config.output).log())


@pytest.mark.parametrize("frozen", [True, False])
def test_the_vision_tower_is_trained_or_not(image_settings: Build, frozen: bool) -> None:
    config = image_settings(engine={"freeze_vision": frozen}, rl={"steps": 1, "learning_rate": 0.1})
    before = {n: p.clone() for n, p in models.load_model(config.model, config.engine).named_parameters()}
    run.run_train(config)
    engine = config.engine
    after = dict(models.load_model(str(config.output / "model"), engine).named_parameters())
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any("lm_head" in name or "language" in name for name in moved)
    assert any("visual" in name for name in moved) is not frozen
