"""`publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextrl_data.pipeline.cli.app import app, resumable
from contextrl_data.pipeline.console import console


@app.command(rich_help_panel="Judge and hand on")
def publish(
    dataset: Annotated[Path, typer.Argument(help="An exported folder, or a build's folder.")],
    repo: Annotated[str, typer.Option("--repo", "-r", help="Repository on the Hub, owner/name.")],
    private: Annotated[bool, typer.Option("--private/--public", help="Who may see a new repository.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and send nothing.")] = False,
    allow_secrets: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-secrets",
            help="A finding that you have reviewed: its mark, a row id, or a file of them, one a line. Repeatable.",
            metavar="MARK|ROW|FILE",
        ),
    ] = None,
    accept_licence: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-licence",
            help="Publish such rows: missing, unknown, restricted, copyleft. Repeatable.",
            metavar="KIND",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds of silence after which a call to the Hub is repeated.")
    ] = 120.0,
) -> None:
    """Put a dataset on the Hugging Face Hub: private unless told otherwise, after a scan for secrets and a look at licences.

    The token comes from HF_TOKEN (or HUGGING_FACE_HUB_TOKEN) alone. The same command again sends nothing that is there already.

    Examples:

    contextrl-data publish ./pairs --repo my-org/pairs --dry-run

    contextrl-data publish ./pairs --repo my-org/pairs

    contextrl-data publish ./pairs --repo my-org/pairs --public --accept-licence copyleft
    """
    from contextrl_data.stages.publish import Request
    from contextrl_data.stages.publish import publish as run

    request = Request(
        dataset,
        repo,
        private=private,
        dry_run=dry_run,
        allow_secrets=allow_secrets or [],
        accept_licences=accept_licence or [],
        silence=timeout,
    )
    with resumable():
        outcome = run(request, console())
    if dry_run and outcome.report.refusal:
        raise typer.Exit(2)
