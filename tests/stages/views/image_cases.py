"""The `trl` view of image pairs in the real GRPOTrainer, before a tiny Qwen2.5-VL with its stock processor.

Run by test_trl.py where torchvision, which that processor needs, can be imported.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import load_dataset
from one_step import Seen, settings
from PIL import Image
from tiny_vlms import save_vlm
from trl import GRPOTrainer
from view_sets import image_pair_rows

from contextrl_data.stages.views import export_view
from contextrl_data.stages.views.rewards import trl_reward

torch.set_num_threads(1)


@pytest.mark.parametrize("tasks", ["choice", "both"])
def test_one_step_on_images(image_set: Path, tmp_path: Path, tasks: Any) -> None:
    view = export_view(image_set, "trl", tmp_path / "view", tasks)
    rows = load_dataset(str(view.folder), split="train")
    seen = Seen()
    trainer = GRPOTrainer(
        model=str(save_vlm(tmp_path / "model")),
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
