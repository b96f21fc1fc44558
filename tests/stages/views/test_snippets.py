"""docs/export.md: its commands run, and its snippets too, in the trainers that they are for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from loaders_apart import environment, needs
from typer.testing import CliRunner
from view_sets import write_image_set, write_text_set

from contextrl_data.pipeline.cli import app
from contextrl_data.stages.views import rewards

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/export.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def block(title: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", section(title), re.M | re.S)
    assert found, title
    return found[1]


def python(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every export command of the page was run, on a dataset of texts and one of images."""
    folder = tmp_path_factory.mktemp("docs")
    write_text_set(folder / "pairs")
    write_image_set(folder / "images")
    for line in re.findall(r"^    contextrl-data (export .*)$", PAGE, re.M):
        with chdir(folder):
            done = CliRunner().invoke(app, shlex.split(line))
        assert done.exit_code == 0, f"{line}: {done.output}{done.exception}"
    return folder


def test_every_file_that_the_page_names_is_there(shown: Path) -> None:
    named = set(re.findall(r"[\w-]+/\w+\.parquet", PAGE))
    assert len(named) == 4
    assert all((shown / name).is_file() for name in named)


def test_the_easyr1_settings_name_columns_and_a_function_that_exist(shown: Path) -> None:
    settings = yaml.safe_load(block("EasyR1", "yaml"))
    data = settings["data"]
    columns = pq.read_schema(shown / data["train_files"]).names
    assert {data["prompt_key"], data["answer_key"], data["image_key"]} <= set(columns)
    file, name = settings["worker"]["reward"]["reward_function"].split(":")
    assert file == f"PATH/{Path(rewards.__file__).name}"
    assert callable(getattr(rewards, name))


@needs("trl", "torch")
def test_the_trl_snippet_trains(shown: Path) -> None:
    from tiny_training import save_model

    tiny = "use_cpu=True, bf16=False, report_to='none', max_steps=1, num_generations=2, per_device_train_batch_size=2, "
    changes = {
        "Qwen/Qwen3-0.6B": str(save_model(shown / "model")),
        "GRPOConfig(output": f"GRPOConfig({tiny}output",
        "=1024": "=4",
    }
    code = block("TRL", "python")
    for old, new in changes.items():
        assert code.count(old) == 1
        code = code.replace(old, new)
    python("-c", code + "\nassert trainer.state.global_step == 1", cwd=shown)


COMPOSE = """
import json, pathlib, sys, verl
from hydra import compose, initialize_config_dir
from verl.trainer.ppo.reward import get_custom_reward_fn
with initialize_config_dir(str(pathlib.Path(verl.__file__).parent / "trainer/config"), version_base=None):
    config = compose("ppo_trainer", overrides=sys.argv[1:])
assert pathlib.Path(config.data.train_files).is_file() and pathlib.Path(config.data.val_files).is_file()
score = get_custom_reward_fn(config)
print(json.dumps([score(data_source="d", solution_str=s, ground_truth="A", extra_info={}) for s in ("A", "B")]))
"""


@needs("verl", "hydra")
def test_verl_takes_the_settings_and_finds_the_reward(shown: Path) -> None:
    words = shlex.split(block("verl", "bash").replace("\\\n", " "))
    assert words[:3] == ["python", "-m", "verl.trainer.main_ppo"]
    assert json.loads(python("-c", COMPOSE, *words[3:], cwd=shown).splitlines()[-1]) == [1.0, 0.0]


@needs("skyrl_gym")
def test_the_skyrl_snippet_runs(shown: Path) -> None:
    assert python("-c", block("SkyRL", "python"), cwd=shown).splitlines()[-1] == "1.0"
