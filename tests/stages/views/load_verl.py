"""Reads `verl` views with verl's own RLHFDataset and prints what its rollout workers would get; run apart.

python load_verl.py TEXT_VIEW_FILE IMAGE_VIEW_FILE MODEL_FOLDER
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from torchvision_shim import mend_torchvision

mend_torchvision()  # before transformers looks for it

from omegaconf import OmegaConf  # noqa: E402
from tiny_training import build_tokenizer  # noqa: E402
from tiny_vlms import save_vlm  # noqa: E402
from transformers import AutoProcessor  # noqa: E402
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn  # noqa: E402
from verl.utils.import_utils import load_extern_object  # noqa: E402

score = load_extern_object("pkg://contextrl_data.stages.views.rewards", "verl_score")


def read(file: str, processor: Any = None) -> dict[str, Any]:
    config = OmegaConf.create(
        {
            "prompt_key": "prompt",
            "image_key": "images",
            "max_prompt_length": 16_384,
            # Its filter measures image prompts with qwen_vl_utils, which is not here.
            "filter_overlong_prompts": processor is None,
            "return_raw_chat": True,
        }
    )
    dataset = RLHFDataset([file], build_tokenizer(), config, processor)
    batch = collate_fn([dataset[place] for place in range(2)])
    rows = [seen(dataset[place], processor) for place in range(len(dataset))]
    return {"rows": rows, "batch": [str(name) for name in batch["data_source"]]}


def seen(row: dict[str, Any], processor: Any) -> dict[str, Any]:
    content = row["raw_prompt"][0]["content"]
    found: dict[str, Any] = {"content": content}
    if processor is not None:
        pictures = [part["image"].convert("RGB") for part in content if part["type"] == "image"]
        found["content"] = [part["text"] if part["type"] == "text" else "<image>" for part in content]
        found["pixels"] = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]
        text = processor.apply_chat_template(row["raw_prompt"], add_generation_prompt=True, tokenize=False)
        found["grids"] = len(processor(text=[text], images=[pictures], return_tensors="pt")["image_grid_thw"])
    truth = row["reward_model"]["ground_truth"]
    scored = [score(row["data_source"], said, truth, extra_info=row["extra_info"]) for said in (truth, "neither")]
    return {**found, "truth": truth, "index": row["index"], "score": scored, "source": row["data_source"]}


stock = AutoProcessor.from_pretrained(save_vlm(Path(sys.argv[3])))
print(json.dumps({"text": read(sys.argv[1]), "image": read(sys.argv[2], stock)}))
