"""Reads a `skyrl` view with SkyRL's own PromptDataset, and judges replies in its gym; prints both. Run apart.

python load_skyrl.py VIEW_FILE
"""

from __future__ import annotations

import json
import sys

import skyrl_gym
from skyrl.train.dataset import PromptDataset
from tiny_training import build_tokenizer

from contextrl_data.stages.views.skyrl_environment import register_environment

register_environment()
register_environment()
dataset = PromptDataset(sys.argv[1], build_tokenizer(), max_prompt_length=16_384, num_workers=1)
rows = []
for item in dataset.collate_fn([dataset[place] for place in range(len(dataset))]):
    truth = item["env_extras"]["reward_spec"]["ground_truth"]
    rewards = []
    for said in (f"It is {truth}", "neither"):
        environment = skyrl_gym.make(item["env_class"], env_config={}, extras=item["env_extras"])
        prompt, _ = environment.init(item["prompt"])
        assert prompt == item["prompt"]
        step = environment.step(said)
        assert step["done"]
        rewards.append(step["reward"])
    rows.append({"content": item["prompt"][0]["content"], "truth": truth, "rewards": rewards})
print(json.dumps(rows))
