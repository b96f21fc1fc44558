"""`export`: a dataset in the layout that a trainer reads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from contextrl_data.pipeline.cli.app import app
from contextrl_data.pipeline.console import say


class Tasks(StrEnum):
    """What the rows ask."""

    choice = "choice"
    qa = "qa"
    both = "both"


@app.command(rich_help_panel="Judge and hand on")
def export(
    dataset: Annotated[Path, typer.Argument(help="An exported dataset folder, or a build's folder.")],
    view: Annotated[str, typer.Option("--as", help="hf, trl, verl, easyr1, contextrl or skyrl.", metavar="VIEW")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    tasks: Annotated[
        Tasks,
        typer.Option("--tasks", help="choice: which context or image, A or B; qa: an image's own question; or both."),
    ] = Tasks.choice,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a view that is there already.")] = False,
) -> None:
    """Write a dataset as a view: the same pairs in the layout that a trainer reads.

    Examples:

    contextrl-data export ./my-dataset --as trl --out ./my-dataset-trl

    contextrl-data export ./my-images --as easyr1 --tasks both --out ./my-images-easyr1
    """
    from contextrl_data.stages.views import export_view

    done = export_view(dataset, view, out, tasks.value, overwrite)
    for file in done.files:
        say(f"{file['split']}: {file['rows']:,} rows in {done.folder / file['id']}")
