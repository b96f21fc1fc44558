"""The `trl` view in the real GRPOTrainer: one step on a tiny model, for text, for images, and as tasks of our own `train`."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import load_dataset
from view_sets import text_rows

pytest.importorskip("trl", reason="needs the extra [train]: make test-train")

import torch
from one_step import Seen, settings
from tiny_training import save_model
from torchvision_apart import run_cases
from trl import GRPOTrainer

from contextrl_data.stages.prompt import choice_prompt
from contextrl_data.stages.train.config import TasksConfig
from contextrl_data.stages.train.tasks import load_tasks
from contextrl_data.stages.views import export_view
from contextrl_data.stages.views.rewards import trl_reward

torch.set_num_threads(1)


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


@pytest.mark.timeout(1200)  # a process of its own imports everything anew
def test_one_step_on_images() -> None:
    run_cases(Path(__file__).parent / "image_cases.py")


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
