"""`train` and `probe` as a user types them."""

from __future__ import annotations

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
