"""`tasks`: RL tasks with a verifiable reward, out of a build."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from contextrl_data.pipeline.cli.app import DEFAULT_ROOT, RootOption, app, resumable
from contextrl_data.pipeline.console import say
from contextrl_data.pipeline.errors import ConfigError, RunError


@app.command(rich_help_panel="Train")
def tasks(
    run: Annotated[str | None, typer.Argument(help="A build's folder or name; the latest one by default.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the dataset.")] = Path("data/tasks"),
    show: Annotated[
        str, typer.Option("--show", help="What the prompt shows: `file`, or the `symbol` to mend.")
    ] = "file",
    held_out: Annotated[float, typer.Option("--held-out", min=0, max=0.5, help="Share for validation.")] = 0.2,
    root: RootOption = DEFAULT_ROOT,
) -> None:
    """Write a build's tasks as RL tasks: the issue and its source as prompt, the task's own tests as reward.

    Examples:

    contextrl-data tasks --output data/tasks

    contextrl-data train --set model=Qwen/Qwen3-0.6B --set tasks.dataset=data/tasks
    """
    from contextrl_data.pipeline.build import find_build
    from contextrl_data.stages.coding.repair_tasks import write_repair_tasks

    if show not in ("file", "symbol"):
        raise ConfigError(f"--show {show} is not known", "use file or symbol")
    build = find_build(root, run)
    if "pick" not in dict(build.stages):
        raise RunError(
            f"build {build.path} made no tasks",
            "name one with `tasks: packages` or `taskset`: contextrl-data tasks BUILD",
        )
    rows = build.finished("pick").rows
    with resumable("run the same command again"):
        counts, left_out = write_repair_tasks(
            rows, output, show="symbol" if show == "symbol" else "file", held_out=held_out,
            run_id=f"tasks-{secrets.token_hex(6)}",
        )  # fmt: skip
    told = ", ".join(f"{count} {split}" for split, count in counts.items())
    lost = "".join(f"; left out: {count} {reason}" for reason, count in sorted(left_out.items()))
    say(f"{told}{lost}\nwritten to {output}")
