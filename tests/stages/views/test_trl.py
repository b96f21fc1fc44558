"""The `trl` view in the real GRPOTrainer: one step on a tiny model, for text, for images, and as tasks of our own `train`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from PIL import Image
from view_sets import image_pair_rows, text_rows

pytest.importorskip("trl", reason="needs the extra [train]: make test-train")

import torch
from tiny_training import length_said, save_model
from trl import GRPOConfig, GRPOTrainer

from contextrl_data.stages.prompt import choice_prompt
from contextrl_data.stages.train.config import TasksConfig
from contextrl_data.stages.train.tasks import load_tasks
from contextrl_data.stages.views import export_view
from contextrl_data.stages.views.rewards import trl_reward

torch.set_num_threads(1)


def settings(folder: Path, **more: Any) -> GRPOConfig:
    """One step of four completions on the CPU."""
    return GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        gradient_checkpointing=False,
        max_steps=1,
        learning_rate=1e-3,
        num_generations=2,
        per_device_train_batch_size=4,
        max_completion_length=4,
        **more,
    )


class Seen:
    """A reward that differs from sample to sample, and keeps what the trainer hands on."""

    __name__ = "seen"

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, completions: list[Any], **columns: Any) -> list[float]:
        self.calls.append(columns)
        return length_said(completions)


def test_one_step_on_text(text_set: Path, tmp_path: Path) -> None:
    view = export_view(text_set, "trl", tmp_path / "view")
    rows = load_dataset(str(view.folder), split="train")
    seen = Seen()
    trainer = GRPOTrainer(
        model=str(save_model(tmp_path / "model")),
        reward_funcs=[trl_reward, seen],
        args=settings(tmp_path / "run"),
        train_dataset=rows,
    )
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    assert trainer.state.global_step == 1
    assert any(not torch.equal(value, before[name]) for name, value in trainer.model.named_parameters())
    pairs = {f"{row['id']}-choice": row for row in text_rows()}
    assert len(seen.calls[0]["id"]) == 4
    for name, prompt, answer in zip(*(seen.calls[0][key] for key in ("id", "prompts", "answer")), strict=True):
        assert prompt == [{"role": "user", "content": choice_prompt(pairs[name])}]
        assert answer == pairs[name]["correct_option"]


@pytest.mark.parametrize("tasks", ["choice", "both"])
def test_one_step_on_images(image_set: Path, tmp_path: Path, tasks: Any) -> None:
    from test_images import processor, save_vlm
    from transformers import Qwen2_5_VLForConditionalGeneration

    view = export_view(image_set, "trl", tmp_path / "view", tasks)
    rows = load_dataset(str(view.folder), split="train")
    seen = Seen()
    trainer = GRPOTrainer(
        model=Qwen2_5_VLForConditionalGeneration.from_pretrained(save_vlm(tmp_path / "model")),
        processing_class=processor(),
        reward_funcs=[trl_reward, seen],
        args=settings(tmp_path / "run", generation_batch_size=8, gradient_accumulation_steps=2),
        train_dataset=rows,
    )
    trainer.train()
    assert trainer.state.global_step == 1
    pairs = {row["id"]: row for number in range(10) for row in image_pair_rows(number)}
    counts = set()
    for name, kind, prompt in zip(*(seen.calls[0][key] for key in ("id", "kind", "prompts")), strict=True):
        pair = pairs[name.removesuffix(f"-{kind}")]
        sides = (["pos", "neg"] if pair["correct_first"] else ["neg", "pos"]) if kind == "choice" else ["pos"]
        parts = prompt[0]["content"]
        assert [part["type"] for part in parts] == ["image"] * len(sides) + ["text"]
        for part, side in zip(parts, sides, strict=False):
            wanted = Image.open(io.BytesIO(pair[f"image_{side}"]["bytes"]))
            assert part["image"].tobytes() == wanted.convert("RGB").tobytes()
        counts.add(len(sides))
    assert counts == ({2} if tasks == "choice" else {1, 2})


def test_the_view_is_a_task_set_of_our_own_trainer(text_set: Path, image_set: Path, tmp_path: Path) -> None:
    from contextrl_data.stages.train.rewards import accuracy

    text = export_view(text_set, "trl", tmp_path / "text")
    tasks = load_tasks(TasksConfig(dataset=str(text.folder)), "train", None)
    assert set(tasks["reward"]) == {"choice"}
    right = [[{"role": "assistant", "content": f"I say {letter}"}] for letter in tasks["answer"]]
    assert accuracy(right, tasks["answer"], reward=tasks["reward"]) == [1.0] * len(tasks)
    image = export_view(image_set, "trl", tmp_path / "image", "both")
    tasks = load_tasks(TasksConfig(dataset=str(image.folder)), "train", None)
    assert {len(images) for images in tasks["images"]} == {1, 2}
    assert set(tasks["reward"]) == {"choice", "auto"}
