"""`train`, `probe` and `compare`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.cli.app import ConfigOption, SetOption, app, resumable
from contextrl_data.pipeline.console import say


@app.command(rich_help_panel="Train")
def train(
    config: ConfigOption = "train",
    settings: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, load no weights, say the plan.")
    ] = False,
) -> None:
    """Train with GRPO and the context-awareness loss on exported pairs; also one of the paper's controls.

    Examples:

    contextrl-data train --set model=Qwen/Qwen3-0.6B --set pairs.dataset=./pairs --set tasks.dataset=./tasks

    contextrl-data train --config train/qwen3-8b --dry-run

    contextrl-data train --config train/qwen3-8b --set objective=da_sft

    accelerate launch --num-processes 8 $(which contextrl-data) train --config train/qwen3-8b
    """
    from contextrl_data.stages.train.config import TrainConfig
    from contextrl_data.stages.train.run import run_train

    loaded = configs.load(TrainConfig, configs.find(config, "train"), settings or [])
    if dry_run:
        from contextrl_data.stages.train.dry_run import plan_run

        for name, what in plan_run(loaded, resume=resume):
            typer.echo(f"{name:<12} {what}")
        return
    with resumable("add --resume to go on from the last checkpoint"):
        result = run_train(loaded, resume=resume)
    scores = {"selection accuracy": result.selection_after, "task reward": result.reward}
    told = ", ".join(f"{name} {value:.3f}" for name, value in scores.items() if value is not None)
    say(f"{result.objective}: {result.steps} steps in {result.seconds:.0f} s{', ' + told if told else ''}")
    say(f"model: {loaded.output / 'model'}")


@app.command(rich_help_panel="Train")
def probe(
    dataset: Annotated[str, typer.Argument(help="An exported folder, or a Hub id.")],
    model: Annotated[str, typer.Option("--model", "-m", help="A local folder, a Hub id, or a served model's name.")],
    server: Annotated[str, typer.Option("--server", help="Base URL of an OpenAI-compatible server.")] = "",
    settings: SetOption = None,
) -> None:
    """Measure selection accuracy: how often a model picks the context that supports the answer, both orders asked.

    Examples:

    contextrl-data probe ./pairs --model Qwen/Qwen3-0.6B

    contextrl-data probe ./pairs --model my-model --server http://localhost:8000/v1
    """
    from contextrl_data.stages.train.probe import run_probe, table
    from contextrl_data.stages.train.probe_config import ProbeConfig

    # Quoted: `--set` reads YAML, and a name may look like a number, an empty one like null.
    named = [
        f"{key}={json.dumps(value)}"
        for key, value in (("model", model), ("pairs.dataset", dataset), ("server.url", server))
    ]
    loaded = configs.load(ProbeConfig, None, [*named, *(settings or [])])
    say(table(run_probe(loaded)))
    say(f"written to {loaded.output}")


@app.command(rich_help_panel="Train")
def compare(
    config: ConfigOption = "compare",
    settings: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Do not repeat finished runs.")] = False,
) -> None:
    """Train every objective with every seed on one budget: selection accuracy against task reward, as table and plot.

    Examples:

    contextrl-data compare --set train.model=./model --set train.pairs.dataset=./pairs --set train.tasks.dataset=./tasks

    contextrl-data compare --config smoke/compare --set seeds=[0]
    """
    from contextrl_data.stages.train.compare import run_compare, table
    from contextrl_data.stages.train.compare_config import CompareConfig

    loaded = configs.load(CompareConfig, configs.find(config, "compare"), settings or [])
    with resumable("add --resume to go on from the last checkpoint"):
        rows = run_compare(loaded, resume=resume)
    say(table(rows))
    say(f"written to {loaded.output}")
