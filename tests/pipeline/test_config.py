"""Configs: precedence, every mistake named with its path, shipped files found by name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from typer.testing import CliRunner

from contextrl_data.pipeline import config
from contextrl_data.pipeline.cli import app
from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.pipeline.stage import StageConfig


class Inner(StageConfig):
    attempts: int = 3
    """Attempts."""
    model: str = "scripted"
    """Model."""

    note: str | None = "none yet"
    """Note."""
    words: list[str] = Field(["a"])
    """Words."""


class Outer(StageConfig):
    seed: int = 0
    """Seed."""
    rollouts: Inner = Inner()
    """Rollouts."""
    many: tuple[Inner, ...] = ()
    """More."""


def test_defaults_then_file_then_settings_left_to_right(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("seed: 1\nrollouts:\n  attempts: 4\n")
    assert config.load(Outer).rollouts.attempts == 3
    loaded = config.load(Outer, file, ["rollouts.attempts=5", "rollouts.model=a", "rollouts.model=b"])
    assert (loaded.seed, loaded.rollouts.attempts, loaded.rollouts.model) == (1, 5, "b")


@pytest.mark.parametrize(("name", "value"), [("rollouts.model", ""), ("rollouts.note", None)])
def test_an_empty_value_is_the_empty_text_where_null_cannot_be_meant(name: str, value: str | None) -> None:
    for setting in (f"{name}=", f"{name}= "):
        loaded = config.load(Outer, None, [setting])
        assert getattr(loaded.rollouts, name.partition(".")[2]) == value


@pytest.mark.parametrize("setting", ["rollouts.attempts=", "rollouts.words=", "rollouts=", "seed="])
def test_an_empty_value_of_what_is_no_text_is_still_wrong(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"got None"):
        config.load(Outer, None, [setting])


def test_an_environment_variable_never_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "9")
    monkeypatch.setenv("OUTER_SEED", "9")
    assert config.load(Outer).seed == 0


def test_every_mistake_is_named_at_once_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(Outer, None, ["sed=1", "rollouts.attemps=x", "seed=abc", "many=[{modle: a}]"])
    text = str(caught.value)
    assert "4 wrong settings" in text
    assert "sed: no such setting; did you mean seed?" in text
    assert "rollouts.attemps: no such setting; did you mean attempts?" in text
    assert "seed: " in text
    assert "'abc'" in text
    assert "many.0.modle" in text


@pytest.mark.parametrize(
    ("text", "settings", "where"),
    [
        ("seed: x\n", [], "1 wrong setting in {file}:"),
        ("seed: 1\n", ["rollouts.attemps=3"], "1 wrong setting in --set:"),
        ("sed: 1\n", ["rollouts.attempts=x", "seed=2"], "2 wrong settings in {file} and --set:"),
        ("seed: 1\n", ["rollouts={attemps: 3}"], "1 wrong setting in --set:"),
    ],
)
def test_a_mistake_is_charged_to_the_place_where_it_stands(
    tmp_path: Path, text: str, settings: list[str], where: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(Outer, file, settings)
    assert str(caught.value).splitlines()[0] == where.format(file=file)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("seed", "not of the form a.b=value"),
        ("=3", "not of the form"),
        ("a..b=3", "not of the form"),
        ("seed.deep=1", "seed is 1, not a mapping"),
        ("seed={", "the value is not YAML"),
    ],
)
def test_a_bad_set_is_one_line_with_the_remedy(tmp_path: Path, setting: str, words: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("seed: 1\n")
    with pytest.raises(ConfigError, match=words) as caught:
        config.load(Outer, file, [setting])
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "c.yaml:2 is not YAML"), ("- 1", "holds a list"), ("!!python/name:os.system", "YAML")]
)
def test_a_bad_file_names_the_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text + "\n")
    with pytest.raises(ConfigError, match=words):
        config.load(Outer, file)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("# nothing\n")
    assert config.load(Outer, file) == Outer()


def test_shipped_configs_are_found_by_name_and_a_wrong_name_lists_them(tmp_path: Path) -> None:
    assert config.find("coding") == config.shipped()["coding"]
    assert config.find("configs/coding.yaml").samefile(config.find("coding"))
    with pytest.raises(ConfigError, match="coding"):
        config.find("codign")


@pytest.mark.parametrize(
    ("command", "name", "told"),
    [
        (
            "build images",
            "demo",
            "demo is a config of `contextrl-data build coding` — for `build images`: images, smoke/images",
        ),
        ("build coding", "smoke/images", "smoke/images is a config of `contextrl-data build images`"),
        (
            "train",
            "compare",
            "compare is a config of `contextrl-data compare` — for `train`: train/klear-agentforge-8b, ",
        ),
        ("compare", "train/smoke", "train/smoke is a config of `contextrl-data train`"),
    ],
)
def test_a_shipped_config_of_another_command_is_named_as_such(command: str, name: str, told: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--config", name])
    assert isinstance(result.exception, ConfigError)
    assert told in str(result.exception)
    assert config.find(name).is_file(), "without a command any will do"


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "mine").mkdir()
    assert config.find("demo") == config.shipped()["demo"]
    with pytest.raises(ConfigError, match="'mine' is a folder"):
        config.find("mine")


def test_the_resolved_config_loads_back(tmp_path: Path) -> None:
    resolved = tmp_path / "resolved.yaml"
    before = config.load(Outer, None, ["rollouts.attempts=7"])
    resolved.write_text(config.dump(before))
    assert config.load(Outer, resolved) == before


@given(st.text(max_size=40))
def test_no_set_text_ever_escapes_as_another_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        config.load(Outer, None, [text])
