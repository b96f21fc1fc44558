"""Picture pairs and tasks. What needs a processor is in image_cases.py, and what that needs is torchvision."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from tiny_training import build_tokenizer
from torchvision_apart import run_cases
from transformers import Qwen2_5_VLConfig

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.train import models


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is installed")
def test_a_stock_processor_without_torchvision_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    Qwen2_5_VLConfig().save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    stock = {
        "processor_class": "Qwen2_5_VLProcessor",
        "image_processor": {"image_processor_type": "Qwen2VLImageProcessor"},
        "video_processor": {"video_processor_type": "Qwen2VLVideoProcessor"},
    }
    (tmp_path / "processor_config.json").write_text(json.dumps(stock))
    with pytest.raises(SetupError, match=r"needs torchvision: .* — pip install torchvision"):
        models.load_processor(str(tmp_path))


@pytest.mark.timeout(1200)  # a process of its own imports everything anew
def test_stock_processors_beside_a_torchvision_that_can_be_imported() -> None:
    run_cases(Path(__file__).parent / "image_cases.py")
