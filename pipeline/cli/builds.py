"""`build`, and what looks at builds: `status`, `report`, `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.cli.app import (
    DEFAULT_ROOT,
    ConfigOption,
    ExecutorOption,
    RootOption,
    SetOption,
    app,
    build,
    resumable,
    run_settings,
)
from contextrl_data.pipeline.console import console, say
from contextrl_data.pipeline.errors import ConfigError

PlanOption = Annotated[
    bool,
    typer.Option(
        "--plan", help="Start nothing: estimate rows, containers, calls, dollars and disk, and what is reused."
    ),
]
PlanFileOption = Annotated[
    Path | None, typer.Option("--json", help="With --plan: write the estimate to this file too.", metavar="FILE")
]


def planned(plan: bool, json: Path | None) -> bool:
    """Whether only an estimate is wanted.

    Raises:
        ConfigError: `--json` without `--plan`.
    """
    if json is not None and not plan:
        raise ConfigError(f"--json {json} without --plan", "add --plan: only an estimate is written there")
    return plan


@build.command("coding")
def build_coding(
    config: ConfigOption = "coding",
    settings: SetOption = None,
    executor: ExecutorOption = None,
    plan: PlanOption = False,
    json: PlanFileOption = None,
) -> None:
    """Make contrastive pairs of coding-agent trajectories, in Docker, with executed labels.

    The shipped default needs no key, no account and no hub: it breaks real functions of packages from PyPI, lets an
    agent repair them in a sandbox, and pairs the runs. Stop it at any time: the same command resumes.

    Examples:

    contextrl-data build coding

    contextrl-data build coding --config demo

    contextrl-data build coding --plan

    contextrl-data build coding --set rollouts.agent=litellm --set rollouts.model=openai/my-model --set rollouts.api.model_kwargs.api_base=http://localhost:8000/v1
    """
    from contextrl_data.stages.coding.build import build_coding_pairs, plan_coding_pairs
    from contextrl_data.stages.coding.config import CodingConfig

    loaded = configs.load(CodingConfig, configs.find(config, "build coding"), run_settings(settings, executor))
    if planned(plan, json):
        plan_coding_pairs(loaded, console(), json)
        return
    with resumable():
        code = build_coding_pairs(loaded, console())
    raise typer.Exit(code)


@build.command("images")
def build_images(
    config: ConfigOption = "images",
    settings: SetOption = None,
    plan: PlanOption = False,
    json: PlanFileOption = None,
) -> None:
    """Make contrastive pairs of images: one question, two near-twins, two answers.

    The shipped default needs no key, no account, no hub and no GPU: it draws charts, tables, geometry, graphs, scenes,
    documents and instruments from fact sheets, changes one fact, and draws again. Stop it at any time: the same
    command resumes.

    Examples:

    contextrl-data build images

    contextrl-data build images --config smoke/images

    contextrl-data build images --plan --json plan.json

    contextrl-data build images --set scenes=null --set 'sets.read=[{path: my_qa.parquet, domain: chart}]'
    """
    from contextrl_data.stages.images.build import build_image_pairs, plan_image_pairs
    from contextrl_data.stages.images.config import ImagesConfig

    loaded = configs.load(ImagesConfig, configs.find(config, "build images"), settings or [])
    if planned(plan, json):
        plan_image_pairs(loaded, console(), json)
        return
    with resumable():
        code = build_image_pairs(loaded, console())
    raise typer.Exit(code)


@app.command(rich_help_panel="Look")
def status(
    run: Annotated[str | None, typer.Argument(help="A build's folder or name; the latest one by default.")] = None,
    root: RootOption = DEFAULT_ROOT,
) -> None:
    """Show where a build stands: every stage with its rows kept, dropped by reason, and failed.

    Examples:

    contextrl-data status

    contextrl-data status data/runs/coding-0123456789abcdef
    """
    from contextrl_data.pipeline.status import show_status

    show_status(root, run, console())


@app.command(rich_help_panel="Look")
def report(
    run: Annotated[
        str | None, typer.Argument(help="A build's folder or name, or a dataset folder.", metavar="RUN|DATASET")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the page.")] = None,
    pairs: Annotated[int | None, typer.Option("--pairs", "-n", min=1, help="Show so many pairs, not all.")] = None,
    max_size: Annotated[int, typer.Option("--max-size", min=1, help="Stop at so many megabytes.")] = 95,
    root: RootOption = DEFAULT_ROOT,
) -> None:
    """Write one self-contained HTML page: the audit, the funnel, and all pairs side by side.

    Pairs that the judge was not sure of can be given a verdict there; the page saves review.jsonl for the next build.

    Examples:

    contextrl-data report

    contextrl-data report ./my-dataset --out pairs.html --pairs 50
    """
    from contextrl_data.stages.report import report_command

    path = report_command(root, run, out, pairs, max_size * 1_000_000, say=say)
    say(f"report: {path}")


@app.command(rich_help_panel="Look")
def doctor() -> None:
    """Check what this machine has and lacks, each lack with its remedy.

    Example:

    contextrl-data doctor
    """
    from contextrl_data.stages.coding.image_disk import check_images
    from contextrl_data.stages.doctor import diagnose, show

    checks = [*diagnose(), *check_images()]
    show(checks, console())
    raise typer.Exit(1 if any(check.state == "fail" for check in checks) else 0)
