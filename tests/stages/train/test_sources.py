"""Where a dataset is looked for: what can only be meant for this disk is never asked of the Hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_server import serving
from tiny_training import typed

from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.train.compare import run_compare
from contextrl_data.stages.train.compare_config import CompareConfig
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.dry_run import plan_run
from contextrl_data.stages.train.probe import run_probe
from contextrl_data.stages.train.probe_config import ProbeConfig
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]


def probe_of(name: str) -> ProbeConfig:
    return ProbeConfig.model_validate({"model": "no-such/model", "pairs": {"dataset": name}})


@pytest.mark.parametrize("name", ["data/nowhere/x", "./nowhere", "../nowhere", "/nowhere", "~/nowhere", "a/b/c"])
@pytest.mark.parametrize(
    ("what", "remedy"),
    [("pairs", "`contextrl-data export BUILD --as hf --out {}`"), ("tasks", "`contextrl-data tasks --output {}`")],
)
def test_a_folder_that_is_not_there_is_named_with_what_writes_it(
    settings: Build, name: str, what: str, remedy: str
) -> None:
    says = rf"no such folder {re.escape(name)}, .*{re.escape(remedy.format(name))}"
    config = settings(model="no-such/model", **{what: {"dataset": name}})
    ways: list[Callable[[], object]] = [lambda: run_train(config), lambda: plan_run(config)]
    if what == "pairs":
        ways.append(lambda: run_probe(probe_of(name)))
    for way in ways:
        with pytest.raises(InputError, match=says) as caught:
            way()
        assert "\n" not in str(caught.value)
    assert not config.output.exists()


def test_a_name_below_a_folder_that_is_there_is_meant_for_this_disk(
    settings: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="no such folder mine/pairs"):
        run_train(settings(pairs={"dataset": "mine/pairs"}))


def test_the_hub_is_asked_for_what_may_be_there_and_for_nothing_else() -> None:
    with serving() as hub:
        reachable = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
        done = typed("probe", "data/nowhere", "--model", "no-such/model", **reachable)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert hub.calls == []
        done = typed("probe", "somebody/pairs", "--model", "no-such/model", **reachable)
        assert "error: cannot load 'probe' of somebody/pairs: " in done.stderr
        assert {path for _, path, _ in hub.calls if "datasets/somebody/pairs" in path}


def test_a_folder_in_the_home_is_found(settings: Build, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(pairs.parent))
    assert plan_run(settings(pairs={"dataset": f"~/{pairs.name}"}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"probe_split": "test"}, r"no split 'test', only .* --set probe_split=train or"),
        ({"tasks": {"eval_split": "test"}}, r"no split 'test', .* --set train\.tasks\.eval_split=train or"),
    ],
)
def test_a_comparison_is_refused_before_its_first_run(
    settings: Build, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    train = settings(tasks={"eval_split": "validation"} | changes.get("tasks", {}))  # type: ignore[operator]
    config = CompareConfig(
        train=train, output=tmp_path / "compared", probe_split=str(changes.get("probe_split", "probe"))
    )
    with pytest.raises(InputError, match=says):
        run_compare(config)
    assert not config.output.exists()


def test_an_objective_with_pairs_needs_them(settings: Build) -> None:
    with pytest.raises(ConfigError, match=r"set pairs\.dataset"):
        plan_run(settings(pairs={"dataset": ""}))
