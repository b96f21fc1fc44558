"""Wrong input: one line with the remedy before the first step, or a clean stop that can be resumed."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import toy_pair, write_split

from contextrl_data.pipeline.errors import ConfigError, InputError, RunError, SetupError, UserError
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.dry_run import plan_run
from contextrl_data.stages.train.faults import guarded
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.probe import run_probe
from contextrl_data.stages.train.probe_config import ProbeConfig
from contextrl_data.stages.train.run import run_train

Build = Callable[..., TrainConfig]


def refused(config: TrainConfig, kind: type[UserError], says: str) -> None:
    """The run is refused before it begins, in one line that holds a remedy."""
    with pytest.raises(kind, match=says) as caught:
        run_train(config)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    assert not list(config.output.glob("checkpoint-*"))


def other_pairs(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]], split: str = "train") -> Path:
    """A dataset of toy pairs, each changed."""
    import random

    write_split(folder, split, [change(toy_pair(random.Random(i), str(i))) for i in range(8)])
    return folder


def test_no_model(settings: Build) -> None:
    refused(settings(model=""), ConfigError, "set model")


def test_no_such_model(settings: Build, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    refused(settings(model=str(tmp_path / "nothing")), InputError, "cannot load model")


def test_no_pairs(settings: Build) -> None:
    refused(settings(pairs={"dataset": ""}), ConfigError, "set pairs.dataset")


def test_a_folder_without_a_dataset(settings: Build, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(settings(pairs={"dataset": str(tmp_path / "empty")}), InputError, "holds no dataset")


def test_a_dataset_without_the_columns(settings: Build, tasks: Path) -> None:
    refused(settings(pairs={"dataset": str(tasks)}), InputError, "lacks the columns context_neg, context_pos, id")


def test_a_split_that_is_not_there(settings: Build) -> None:
    refused(settings(pairs={"split": "test"}), InputError, "split 'test'")


def test_an_empty_split(settings: Build, pairs: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(next((pairs / "data").glob("train*")))
    write_split(tmp_path / "none", "train", [], schema)
    refused(
        settings(pairs={"dataset": str(tmp_path / "none"), "eval_split": ""}), InputError, "split 'train' .* is empty"
    )


def test_pairs_longer_than_the_limit(settings: Build) -> None:
    refused(settings(pairs={"max_tokens": 16}), InputError, "raise pairs.max_tokens")


def test_a_limit_beyond_the_models_context(settings: Build) -> None:
    refused(settings(pairs={"max_tokens": 4096}), ConfigError, "set pairs.max_tokens to 512 or less")


def test_long_pairs_are_dropped_whole_and_counted(settings: Build, tmp_path: Path) -> None:
    def longer(row: dict[str, Any]) -> dict[str, Any]:
        row["context_pos"][0]["content"] += " red" * (400 if int(row["id"]) % 2 else 0)
        return row

    folder = other_pairs(tmp_path / "long", longer)
    result = run_train(settings(pairs={"dataset": str(folder), "eval_split": "", "max_tokens": 128}, rl={"steps": 1}))
    assert result.dropped_pairs == 4


def test_options_of_several_tokens(settings: Build) -> None:
    refused(settings(pairs={"labels": ["First one", "Second one"]}), InputError, "not a single token")


def test_options_that_begin_alike_are_still_two_tokens(settings: Build) -> None:
    run_train(settings(pairs={"labels": ["3", "5"]}, rl={"steps": 1}))


def test_a_model_without_a_chat_template(settings: Build, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "plain")
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    refused(settings(model=str(tmp_path / "plain")), InputError, "has no chat template")
    template = tmp_path / "chat.jinja"
    template.write_text((model / "chat_template.jinja").read_text())
    run_train(settings(model=str(tmp_path / "plain"), pairs={"chat_template": str(template)}, rl={"steps": 1}))


def test_images_with_a_text_model(settings: Build, tmp_path: Path) -> None:
    def pictured(row: dict[str, Any]) -> dict[str, Any]:
        return {"id": row["id"], "question": "?", "answer": "1", "image_pos": b"", "image_neg": b""}

    folder = other_pairs(tmp_path / "images", pictured)
    refused(settings(pairs={"dataset": str(folder), "eval_split": ""}), InputError, "reads text only")


def test_tasks_without_a_prompt(settings: Build, tmp_path: Path) -> None:
    write_split(tmp_path / "odd", "train", [{"text": "Say 1.", "answer": "1"}])
    refused(settings(tasks={"dataset": str(tmp_path / "odd")}), InputError, "no column `prompt` or `question`")


def test_tasks_without_an_answer(settings: Build, tmp_path: Path) -> None:
    write_split(tmp_path / "odd", "train", [{"question": "Say 1."}])
    refused(settings(tasks={"dataset": str(tmp_path / "odd"), "rewards": ["qa"]}), InputError, "lacks answer, which")


REPAIRS = "contextrl_data.stages.coding.reward:TestsPass"


@pytest.mark.parametrize(
    ("columns", "reward", "says"),
    [
        (("question", "shown", "task"), "qa", rf"lacks answer, .* reward qa .*--set tasks\.rewards=\[{REPAIRS}\]"),
        (("question", "answer"), REPAIRS, rf"lacks shown, task, .* reward {REPAIRS} .*--set tasks\.rewards=\[qa\]"),
        (("question",), REPAIRS, r"lacks shown, task, .* a reward of your own"),
        (("question", "answer"), "test_bad_input:of_a_column", r"lacks colour, .*--set tasks\.rewards=\[qa\]"),
    ],
)
def test_tasks_without_the_columns_of_their_reward(
    settings: Build, tmp_path: Path, columns: tuple[str, ...], reward: str, says: str
) -> None:
    write_split(tmp_path / "other", "train", [dict.fromkeys(columns, "1")])
    refused(settings(tasks={"dataset": str(tmp_path / "other"), "rewards": [reward]}), InputError, says)


def of_a_column(completions: list[Any], prompts: list[Any], colour: list[str], size: int = 1, **_: Any) -> list[float]:
    """A reward of a user's, which reads a column."""
    return [0.0] * len(completions)


def test_every_task_too_long(settings: Build) -> None:
    says = r"all 256 tasks in 'train' of .* raise rl\.max_prompt_tokens.* `contextrl-data tasks --show symbol`"
    refused(settings(rl={"max_prompt_tokens": 2}), InputError, says)


def test_long_tasks_are_dropped_whole_and_counted_wherever_pairs_are(
    settings: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [{"question": f"Say {i}." + " red" * 100 * (i % 2), "answer": str(i)} for i in range(8)]
    write_split(tmp_path / "long", "train", said)
    write_split(tmp_path / "long", "validation", said[:2])
    config = settings(
        tasks={"dataset": str(tmp_path / "long"), "eval_split": "validation"}, rl={"max_prompt_tokens": 64, "steps": 1}
    )
    counted = "4 of 8 tasks fit 64 tokens (rl.max_prompt_tokens)"
    assert dict(plan_run(config))["tasks"] == counted
    result = run_train(config)
    assert (result.dropped_tasks, result.dropped_pairs) == (4, 0)
    assert counted in capsys.readouterr().err
    assert RunFolder(config.output).log()[0]["too_long/tasks"] == 4
    assert "| tasks dropped as too long | 4 |" in (config.output / "model" / "README.md").read_text()
    write_split(tmp_path / "long", "validation", said[1:2])
    config = config.model_copy(update={"output": tmp_path / "other"})
    refused(config, InputError, r"all 1 tasks in 'validation' of .* raise rl\.max_prompt_tokens")


def test_sequences_that_do_not_divide(settings: Build) -> None:
    refused(settings(rl={"sequences_per_device": 5}), ConfigError, "do not divide")


def test_a_setting_that_trl_does_not_know(settings: Build) -> None:
    refused(settings(engine={"grpo": {"no_such_thing": 1}}), ConfigError, "TRL refuses")


def lacks(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is not None, reason=f"{package} is installed")


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        pytest.param({"vllm": "colocate"}, "engine.vllm colocate needs vllm, .* pip install", marks=lacks("vllm")),
        pytest.param({"vllm": "server"}, "engine.vllm server needs vllm, .* pip install", marks=lacks("vllm")),
        pytest.param({"deepspeed": "zero2.json"}, "needs deepspeed, .* pip install", marks=lacks("deepspeed")),
        pytest.param({"attention": "flash_attention_2"}, "needs flash_attn, .* unset", marks=lacks("flash_attn")),
    ],
)
def test_an_engine_that_is_not_installed(settings: Build, engine: dict[str, str], says: str) -> None:
    refused(settings(engine=engine), SetupError, says)


def test_an_attention_that_does_not_exist(settings: Build) -> None:
    refused(settings(engine={"attention": "no_such"}), ConfigError, "engine.attention no_such.*leave engine.attention")


def test_image_pairs_without_the_other_image(settings: Build, tmp_path: Path) -> None:
    def half(row: dict[str, Any]) -> dict[str, Any]:
        return {"id": row["id"], "question": "?", "answer": "1", "image_pos": b""}

    folder = other_pairs(tmp_path / "half", half)
    refused(settings(pairs={"dataset": str(folder), "eval_split": ""}), InputError, "lacks the columns image_neg")


def test_an_evaluation_split_that_is_not_there(settings: Build) -> None:
    for what in ("tasks", "pairs"):
        says = (
            rf"no split 'test', only .*train.*--set {what}\.eval_split=train.* or --set {what}\.eval_split= to measure"
        )
        refused(settings(**{what: {"eval_split": "test"}}), InputError, says)


def test_evaluation_pairs_that_are_all_too_long(settings: Build, tmp_path: Path) -> None:
    def long(row: dict[str, Any]) -> dict[str, Any]:
        row["context_pos"][0]["content"] += " red" * 400
        return row

    folder = other_pairs(tmp_path / "long", lambda row: row)
    other_pairs(folder, long, "validation")
    refused(settings(pairs={"dataset": str(folder), "max_tokens": 128}), InputError, "all 8 pairs .* raise pairs")


def test_a_reward_that_is_not_there(settings: Build) -> None:
    refused(settings(tasks={"rewards": ["nice"]}), ConfigError, "no reward 'nice' — use qa")
    refused(settings(tasks={"rewards": ["no_such_module:nice"]}), ConfigError, "cannot import 'no_such_module:nice'")


def test_weights_that_are_missing_or_torn(settings: Build, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "torn")
    weights = tmp_path / "torn" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    refused(settings(model=str(tmp_path / "torn")), InputError, "cannot load the weights of .*write the model again")
    weights.unlink()
    refused(settings(model=str(tmp_path / "torn")), InputError, "cannot load the weights of .*write the model again")


def test_a_chat_template_that_is_no_file(settings: Build) -> None:
    refused(
        settings(pairs={"chat_template": "none.jinja"}), ConfigError, r"pairs\.chat_template none\.jinja is no file"
    )


def test_an_output_that_cannot_be_made(settings: Build) -> None:
    refused(settings(output="/proc/run"), RunError, "cannot make /proc/run")


def test_an_adapter_is_no_model_to_begin_with(settings: Build, tmp_path: Path) -> None:
    """But the probe reads it, with the model that it belongs to."""
    config = settings(engine={"lora_rank": 2}, pairs={"eval_split": ""}, rl={"steps": 1})
    run_train(config)
    adapter = config.output / "model"
    assert not (adapter / "config.json").exists()
    refused(
        settings(model=str(adapter), output=str(tmp_path / "next")), ConfigError, "is a LoRA adapter of .* merge it"
    )
    pairs = {**config.pairs.model_dump(), "split": "probe", "limit": 4}
    asked = {"model": str(adapter), "pairs": pairs, "engine": {"cpu": True}, "output": str(tmp_path / "probe")}
    assert run_probe(ProbeConfig.model_validate(asked)).overall.pairs == 4


@pytest.mark.parametrize(
    ("reward", "says"),
    [
        (
            "raises",
            r"the reward test_bad_input:raises failed at .*test_bad_input\.py:\d+: KeyError: 'colour' — mend it",
        ),
        (
            "raises_later",
            r"the reward test_bad_input:raises_later failed at .*: KeyError: 'colour' — mend it.*--resume",
        ),
        (
            "gives_few",
            r"the reward test_bad_input:gives_few gave 1 values .* for 16 completions — let it return a list",
        ),
        (
            "gives_words",
            r"the reward test_bad_input:gives_words gave 16 values \(\['1'\]…\) for 16 .* or None, for each",
        ),
    ],
)
def test_a_reward_that_breaks_stops_cleanly_and_can_be_mended(settings: Build, reward: str, says: str) -> None:
    config = settings(tasks={"rewards": [f"test_bad_input:{reward}"]}, rl={"steps": 1}, pairs={"eval_split": ""})
    with pytest.raises(RunError, match=says) as caught:
        run_train(config)
    assert "\n" not in str(caught.value)


def raises(completions: list[Any], **_: Any) -> list[float]:
    """A mistake of a user's."""
    raise KeyError("colour")


async def raises_later(completions: list[Any], **_: Any) -> list[float]:
    """The same in a reward that waits for something."""
    raise KeyError("colour")


@pytest.mark.parametrize("made", [tuple, np.array, torch.tensor])
def test_a_reward_may_give_its_numbers_in_any_form(made: Callable[[list[float]], Any]) -> None:
    def reward(completions: list[Any], **_: Any) -> Any:
        return made([1.0, 0.0])

    assert guarded("mine", reward)(completions=["a", "b"]) == [1.0, 0.0]
    assert guarded("mine", reward).__name__ == "reward", "TRL logs it by its name"


def gives_few(completions: list[Any], **_: Any) -> list[float]:
    """Too few."""
    return [1.0]


def gives_words(completions: list[Any], **_: Any) -> list[str]:
    """No numbers."""
    return ["1"] * len(completions)


def test_no_memory_for_the_model_or_the_probe_is_one_line(
    settings: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A model larger than any machine: its config asks for it, and the allocator refuses."""
    config = settings()
    pairs = {**config.pairs.model_dump(), "split": "probe"}
    asked = ProbeConfig.model_validate(
        {"model": config.model, "pairs": pairs, "engine": {"cpu": True}, "output": str(tmp_path / "probe")}
    )
    monkeypatch.setattr("contextrl_data.stages.train.assembly.load_model", too_large)
    monkeypatch.setattr("contextrl_data.stages.train.models.load_model", too_large)
    refused(config, RunError, r"no memory for .* and what trains it — take a smaller model, engine\.lora_rank")
    with pytest.raises(RunError, match=r"out of memory with batch 4 — lower batch"):
        run_probe(asked)


def too_large(*_: Any) -> None:
    """Really asks for more memory than any machine has."""
    torch.empty(1 << 60, dtype=torch.uint8)


def test_a_broken_model_stops_cleanly(settings: Build, model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, tmp_path / "broken")
    weights = load_file(tmp_path / "broken" / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][:] = 1e38
    weights["model.layers.0.mlp.down_proj.weight"][:] = 1e38
    save_file(weights, tmp_path / "broken" / "model.safetensors", metadata={"format": "pt"})
    config = settings(model=str(tmp_path / "broken"), rl={"steps": 2})
    with pytest.raises(RunError, match=r"a probability is no finite number at step 1 — .*--resume"):
        run_train(config)


def test_a_loss_that_overflows_stops_cleanly_and_can_be_resumed(settings: Build) -> None:
    config = settings(
        tasks={"rewards": ["test_bad_input:sometimes_huge"]},
        rl={"steps": 5, "scale_rewards": "none"},
        log={"save_every": 2},
    )
    import test_bad_input

    test_bad_input.CALLS.clear()
    with pytest.raises(RunError, match=r"the loss is no finite number at step 4 — .*--resume"):
        run_train(config)
    test_bad_input.CALLS.extend([0] * 10)
    assert run_train(config, resume=True).steps == 5


CALLS: list[int] = []


def sometimes_huge(completions: list[Any], **_: Any) -> list[float]:
    """Overflows in the fourth call."""
    import test_bad_input

    test_bad_input.CALLS.append(0)
    huge = 3e38 if len(test_bad_input.CALLS) == 4 else 1.0
    return [huge * (-1) ** i for i in range(len(completions))]


def test_out_of_memory_stops_cleanly(settings: Build) -> None:
    config = settings(tasks={"rewards": ["test_bad_input:greedy_reward"]})
    with pytest.raises(RunError, match=r"out of memory .* lower them .* --resume"):
        run_train(config)


def greedy_reward(completions: list[Any], **_: Any) -> list[float]:
    """Really asks for more memory than any machine has."""
    torch.empty(1 << 60, dtype=torch.uint8)
    return [0.0] * len(completions)
