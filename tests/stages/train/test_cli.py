"""`train` and `probe` as a user types them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml
from tiny_training import typed

from contextrl_data.stages.train.config import TrainConfig

Build = Callable[..., TrainConfig]


def test_train_then_probe_and_a_second_run_is_refused_in_one_line(settings: Build, tmp_path: Path) -> None:
    config = settings(rl={"steps": 1})
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    first = typed("train", "--config", str(file), "--set", "objective=contextrl")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("contextrl: 1 steps in ")
    assert "step     1 / 1" in first.stderr
    assert (config.output / "model" / "README.md").is_file()

    again = typed("train", "--config", str(file))
    assert again.returncode == 2
    assert again.stdout == ""
    (line,) = again.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "add --resume" in line

    pairs = ["pairs.limit=4", f"pairs.template={config.pairs.template!r}", "pairs.max_tokens=512", "engine.cpu=true"]
    settings_ = [word for each in [*pairs, f"output={tmp_path / 'probe'}"] for word in ("--set", each)]
    probed = typed("probe", config.pairs.dataset, "--model", str(config.output / "model"), *settings_)
    assert probed.returncode == 0, probed.stderr
    assert "| all | 4 |" in probed.stdout
    assert f"on split 'probe' of {config.pairs.dataset}: 4 pairs" in probed.stdout, "what no run has seen"
    choices = [json.loads(line)["id"] for line in (tmp_path / "probe" / "choices.jsonl").read_text().splitlines()]
    assert {name.partition("-")[0] for name in choices} == {"probe"}


def test_a_probe_of_a_dataset_without_its_split_names_those_that_are_there(
    model: Path, pairs: Path, tmp_path: Path
) -> None:
    shutil.copytree(pairs, tmp_path / "pairs", ignore=shutil.ignore_patterns("probe-*"))
    done = typed("probe", str(tmp_path / "pairs"), "--model", str(model))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .endswith(
            "pairs has no split 'probe', only train, validation — --set pairs.split=train or --set pairs.split=validation"
        )
    )
