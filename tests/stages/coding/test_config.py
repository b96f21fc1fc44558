"""Every shipped coding config loads, and its settings all mean something."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.coding.build import steps
from contextrl_data.stages.coding.config import CodingConfig

SHIPPED = ["coding", "demo", "smoke/coding"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_config_loads_and_makes_a_pipeline(name: str) -> None:
    config = configs.load(CodingConfig, configs.find(name))
    names = [step.stage.name for step in steps(config)]
    assert names[0] == "packages"
    assert names[-1] == "export"
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_resolved_config_of_a_shipped_one_loads_back(name: str, tmp_path: Path) -> None:
    config = configs.load(CodingConfig, configs.find(name), ["validate.sandbox.cpus=0.5"])
    (tmp_path / "resolved.yaml").write_text(configs.dump(config))
    assert configs.load(CodingConfig, tmp_path / "resolved.yaml") == config


def names(*settings: str, file: str | None = None) -> list[str]:
    config = configs.load(CodingConfig, configs.find(file) if file else None, settings)
    return [step.stage.name for step in steps(config)]


def test_existing_runs_need_no_tasks_and_no_agent() -> None:
    found = names("trajectories.path=data/samples", file="trajectories")
    assert found[:6] == ["trajectories", "block", "locate", "cascade", "mask", "check"]
    assert found[6:] == ["judge", "review", "direct", "select", "split", "export"]


def test_benchmarks_are_refused_before_an_agent_runs_on_them() -> None:
    found = names("tasks=taskset", "taskset.path=tasks.jsonl")
    assert found[:4] == ["tasksets", "decontaminate-tasks", "pick", "attempts"]
    found = names("trajectories.path=runs", "taskset.path=tasks.jsonl", file="trajectories")
    assert found[:3] == ["tasksets", "decontaminate-tasks", "trajectories"]


def test_the_difficulty_filter_runs_where_it_is_configured() -> None:
    found = names("difficulty.chat.model=openai/m")
    assert found[found.index("direct") + 1] == "difficulty"


def test_one_list_of_benchmarks_holds_for_tasks_and_runs() -> None:
    config = configs.load(
        CodingConfig,
        configs.find("trajectories"),
        ["trajectories.path=runs", "taskset.path=tasks.jsonl", "benchmarks.allow_benchmarks=true"],
    )
    stages = {step.stage.name: step.stage.config for step in steps(config)}
    assert stages["trajectories"].benchmarks.allow_benchmarks is True
    assert stages["decontaminate-tasks"].allow_benchmarks is True


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["tasks=trajectories"], "--set trajectories.path="),
        (["tasks=taskset"], "--set taskset.path="),
        (["judge.kind=chat", "judge.vots=2"], "judge.vots: no such setting; did you mean votes?"),
        (["judge.max_length_ratoi=2"], "judge.max_length_ratoi: no such setting; did you mean max_length_ratio?"),
        (["validat.sandbox=1"], "validat: no such setting; did you mean validate?"),
        (["validate.max_failurs=1"], "validate.max_failurs: no such setting; did you mean max_failures?"),
        (["judge.kind=model"], "'rules', 'chat'"),
        (["judge.kind=chat"], "--set judge.chat.model="),
        (["difficulty.samples=4"], "--set difficulty.chat.model="),
    ],
)
def test_a_wrong_choice_is_named_with_its_remedy(settings: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        steps(configs.load(CodingConfig, None, settings))
    assert told in str(raised.value)


def test_every_setting_has_a_doc_string() -> None:
    seen: set[type[BaseModel]] = set()

    def walk(model: type[BaseModel], path: str) -> None:
        if model in seen:
            return
        seen.add(model)
        for name, field in model.model_fields.items():
            assert field.description, f"{path}{name} has no doc string"
            for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    walk(part, f"{path}{name}.")

    walk(CodingConfig, "")
    assert all(issubclass(model, StageConfig) for model in seen)


def test_run_settings_are_in_no_key() -> None:
    from contextrl_data.pipeline.plan import keys_of

    plain = configs.load(CodingConfig)
    other = configs.load(
        CodingConfig, None, ["run.workers=7", "run.shard_rows=3", "run.root=elsewhere", "report_pairs=5"]
    )
    assert keys_of(steps(plain)) == keys_of(steps(other))
