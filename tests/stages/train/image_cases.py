"""Pictures, read by the stock processors of Qwen2.5-VL and Qwen3-VL before tiny models that were built from a config.

Run by test_images.py where torchvision, which these processors need, can be imported.
"""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pillow
from tiny_vlms import CHAT_TEMPLATES, KINDS, save_vlm

from contextrl_data.pipeline.config import find, load
from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.train import models, run
from contextrl_data.stages.train.config import PairsConfig, TrainConfig
from contextrl_data.stages.train.dry_run import plan_run
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.lengths import Ruler
from contextrl_data.stages.train.options import chat_prefix, find_options
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs, choice_conversation
from contextrl_data.stages.train.probe_server import with_images
from contextrl_data.stages.train.tasks import choice_task

Build = Callable[..., TrainConfig]
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30)}
TEMPLATE = "{question} {answer} {context_a} {context_b}"


@pytest.fixture(scope="module")
def vlms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each kind."""
    return {kind: save_vlm(tmp_path_factory.mktemp("vlm") / kind, kind) for kind in KINDS}


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
def image_settings(settings: Build, image_data: Path, vlms: dict[str, Path]) -> Build:
    """Settings of a run on pictures."""

    def build(kind: str = "qwen2.5-vl", **parts: Any) -> TrainConfig:
        own: dict[str, Any] = {
            "model": str(vlms[kind]),
            "pairs": {"dataset": str(image_data / "pairs"), "template": TEMPLATE, "eval_limit": 8},
            "tasks": {"dataset": str(image_data / "tasks"), "rewards": ["tiny_training:length_said"]},
            "engine": {"freeze_vision": False},
        }
        for name, value in parts.items():
            own[name] = {**own.get(name, {}), **value} if isinstance(value, dict) else value
        return settings(**own)

    return build


def test_pictures_stand_where_the_template_says(image_data: Path, vlms: dict[str, Path]) -> None:
    config = PairsConfig(dataset=str(image_data / "pairs"), template=TEMPLATE)
    pairs = Pairs.load(config, "train", None)
    row = pairs[0]
    for flipped, order in ((False, ["image_pos", "image_neg"]), (True, ["image_neg", "image_pos"])):
        messages, images = choice_conversation(row, config, flipped=flipped)
        assert [part["type"] for part in messages[0]["content"]] == ["text", "image", "text", "image"]
        assert [image.tobytes() for image in images] == [row[name].tobytes() for name in order]
    processor = models.load_processor(str(vlms["qwen2.5-vl"]))
    collator = ChoiceCollator(processor, config, find_options(processor, ("A", "B"), {}))
    batch = collator([row, row], [False, True], [1.0, 1.0])
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


@pytest.mark.parametrize(("objective", "kind"), [("da_sft", "qwen3-vl"), ("da_rl", "qwen2.5-vl")])
def test_the_controls_train_on_pictures(
    image_settings: Build, objective: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    config = image_settings(kind, objective=objective, controls={"rl_share": 0.8}, rl={"steps": 1})
    assert run.run_train(config).selection_after is not None
    name = {"da_sft": "sft/loss", "da_rl": "rewards/selection/mean"}[objective]
    assert any(name in line for line in RunFolder(config.output).log())
    assert "processor_kwargs" not in capfd.readouterr().err, "options that a template does not know are no news"


@pytest.mark.parametrize("name", ["qwen2.5-vl-7b", "qwen3-vl-8b"])
def test_the_papers_image_runs_train_with_the_processor_that_they_name(
    image_settings: Build, image_data: Path, name: str, tmp_path: Path
) -> None:
    """All that the shipped files say, but for sizes: several steps of a rollout, KL, and the bounds of the pixels too."""
    few = {
        "model": image_settings(name.rpartition("-")[0]).model, "output": tmp_path / "run", "engine.vllm": "off",
        "engine.cpu": True, "pairs.dataset": image_data / "pairs", "tasks.dataset": image_data / "tasks",
        "pairs.eval_limit": 4, "contrast.pairs_per_step": 2, "rl.steps": 2, "rl.prompts_per_step": 2, "log.save_every": 2,
        "rl.rollout_prompts": 4, "rl.generations": 2, "rl.sequences_per_device": 4, "rl.max_completion_tokens": 4,
    }  # fmt: skip
    config = load(TrainConfig, find(f"train/{name}"), [f"{key}={value}" for key, value in few.items()])
    assert run.run_train(config).steps == 2
    assert not any("visual" in moved for moved in moved_in(config)), "the vision tower is frozen"
    lines = [line for line in RunFolder(config.output).log() if "contrast/loss" in line]
    assert [("kl" in line, line["grad_norm"] > 0) for line in lines] == [(True, True)] * 2


@pytest.mark.parametrize("pictured", ["tasks", "neither"])
def test_a_model_that_sees_trains_on_texts_beside_pictures(
    image_settings: Build, pairs: Path, tasks: Path, pictured: str
) -> None:
    texts: dict[str, dict[str, Any]] = {
        "pairs": {"dataset": str(pairs), "max_tokens": 512}, "tasks": {"dataset": str(tasks)},
    }  # fmt: skip
    parts = {name: part for name, part in texts.items() if name != pictured}
    if pictured != "neither":
        with pytest.raises(ConfigError, match=r"da_rl mixes pairs and tasks, of which only one has images.*use grpo"):
            plan_run(image_settings(objective="da_rl", **parts))
    config = image_settings(rl={"steps": 1}, **parts)
    run.run_train(config)
    assert any("contrast/loss" in line for line in RunFolder(config.output).log())


def moved_in(config: TrainConfig) -> set[str]:
    """Names of the parameters that a run has changed."""
    before = dict(models.load_model(config.model, config.engine).named_parameters())
    after = dict(models.load_model(str(config.output / "model"), config.engine).named_parameters())
    return {name for name, value in after.items() if name not in before or not torch.equal(value, before[name])}


@pytest.mark.parametrize(("frozen", "rank"), [(False, 0), (True, 4)])
def test_the_vision_tower_is_trained_or_not(image_settings: Build, frozen: bool, rank: int) -> None:
    rl = {"steps": 1, "learning_rate": 0.1}
    config = image_settings(engine={"freeze_vision": frozen, "lora_rank": rank}, rl=rl, pairs={"eval_split": ""})
    run.run_train(config)
    moved = moved_in(config)
    assert any("language" in name for name in moved)
    assert any("visual" in name for name in moved) is not frozen


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "smolvlm", "idefics3", "llava_next", "gemma3", "gemma4"])
def test_texts_and_pictures_are_rendered_as_the_processor_renders_them(vlms: dict[str, Path], name: str) -> None:
    """By the templates of other models too: some read content in parts alone, some lie beside the processor alone."""
    processor = models.load_processor(str(vlms["qwen2.5-vl"]))
    processor.chat_template = (CHAT_TEMPLATES / f"{name}.jinja").read_text()
    processor.tokenizer.chat_template = None
    parts = [{"type": "text", "text": "Which?"}, {"type": "image"}, {"type": "text", "text": "or"}, {"type": "image"}]
    said = [{"role": "user", "content": parts}]
    whole = processor.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    assert chat_prefix(processor, said, {"no_such_option": 1}, "I say") == whole + "I say"
    assert "Which?" in chat_prefix(processor, [{"role": "user", "content": "Which?"}], {})
    assert find_options(processor, ("A", "B"), {}).labels == ("A", "B")


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_is_as_long_as_its_pictures_make_it(vlms: dict[str, Path], kind: str) -> None:
    processor = models.load_processor(str(vlms[kind]), None, {"size": {"shortest_edge": 784, "longest_edge": 100_352}})
    said = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which?"}, {"type": "image"}]}]
    text = chat_prefix(processor, said, {})
    ruler = Ruler(processor, 0)
    for size in ((56, 56), (300, 200), (31, 400), (1000, 1000)):
        shown = [Pillow.new("RGB", size), Pillow.new("RGB", (70, 70))]
        long = len(processor(text=[text], images=[shown], add_special_tokens=False)["input_ids"][0])
        assert ruler.image_tokens(text, shown) + len(processor.tokenizer(text).input_ids) == long
        assert (Ruler(processor, long).fits(text, shown), Ruler(processor, long - 1).fits(text, shown)) == (True, False)


def test_tasks_are_as_long_as_their_pictures_make_them(image_settings: Build, tmp_path: Path) -> None:
    def pictured(size: int) -> dict[str, Any]:
        return {"question": "Say the colour.", "answer": "red", "images": [{"bytes": png(size), "path": None}]}

    features = Features({"question": Value("string"), "answer": Value("string"), "images": [Image()]})
    (tmp_path / "data").mkdir()
    rows = Dataset.from_list([pictured(280 if i % 2 else 28) for i in range(8)], features=features)
    rows.to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    large = {"size": {"shortest_edge": 784, "longest_edge": 1_003_520}}  # 280 x 280 are 100 tokens
    parts: dict[str, Any] = {"processor": large, "tasks": {"dataset": str(tmp_path)}, "pairs": {"max_tokens": 512}}
    assert dict(plan_run(image_settings(rl={"max_prompt_tokens": 100}, **parts)))["tasks"].startswith(
        "4 of 8 tasks fit"
    )
    assert dict(plan_run(image_settings(rl={"max_prompt_tokens": 200}, **parts)))["tasks"].startswith(
        "8 of 8 tasks fit"
    )


def png(size: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (size, size)).save(buffer, "PNG")
    return buffer.getvalue()


def task_files(folder: Path, rows: list[dict[str, Any]]) -> str:
    """As another tool writes them: without a word of Hugging Face about what the columns are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "train-00000-of-00001.parquet")
    return str(folder)


def test_pictures_of_other_tools_are_read_whatever_they_are_stored_as(image_settings: Build, tmp_path: Path) -> None:
    asked = {"question": "Say the colour.", "answer": "red"}
    one = task_files(tmp_path / "one", [{**asked, "image": png(56)}] * 8)
    pair = {"question": "Which?", "answer": "red", "image_pos": png(56), "image_neg": png(60)}
    both = task_files(tmp_path / "pairs", [{**pair, "id": str(i)} for i in range(8)])
    config = image_settings(
        objective="da_rl",
        pairs={"dataset": both, "eval_split": ""},
        tasks={"dataset": one, "rewards": ["qa"]},
        rl={"steps": 1},
    )
    assert run.run_train(config).steps == 1


def test_tasks_whose_pictures_cannot_be_trained_on_are_one_line(image_settings: Build, tmp_path: Path) -> None:
    asked = {"question": "Say the colour.", "answer": "red"}
    shown = [{"bytes": png(56), "path": None}]
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([{**asked, "images": shown}, {**asked, "images": []}], r"1 of 2 tasks of .* have no image.* tasks with images alone"),
        ([{**asked, "images": [{"bytes": b"GIF?", "path": None}]}] * 2, r"the picture of task 0 in 'train' of .* cannot be read"),
        ([{**asked, "images": [7]}] * 2, r"column images of .* holds no pictures: .*store them as datasets\.Image"),
        (
            [{"prompt": [{"role": "user", "content": [{"type": "text", "text": "?"}]}], "answer": "red", "images": shown}] * 2,
            r"task 0 in 'train' of .* cannot be shown: .*as many parts",
        ),
    ]  # fmt: skip
    for place, (rows, says) in enumerate(cases):
        folder = task_files(tmp_path / str(place), rows)
        with pytest.raises(InputError, match=says) as caught:
            plan_run(image_settings(tasks={"dataset": folder, "rewards": ["qa"]}))
        assert "\n" not in str(caught.value)
