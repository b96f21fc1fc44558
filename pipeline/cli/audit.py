"""`audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.cli.app import app
from contextrl_data.pipeline.console import console


@app.command(rich_help_panel="Judge and hand on")
def audit(
    dataset: Annotated[str, typer.Argument(help="A folder, a build's folder, a .parquet or .jsonl file, or a Hub id.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", help="Change one setting: `--set columns.answer=patch`. Repeatable.", metavar="A.B=VALUE"
        ),
    ] = None,
    config: Annotated[str | None, typer.Option("--config", "-c", help="A YAML file.", metavar="FILE")] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write everything that was measured to this file.")
    ] = None,
    write_card: Annotated[
        bool, typer.Option("--write-card", help="Put the audit into the dataset's own card.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 where the dataset fails.")] = False,
) -> None:
    """Can somebody who reads nothing pick C+? Is anything in the dataset twice, a benchmark's, or without a licence?

    Works on our own datasets and on anybody's pairs: say with `--set columns...` where their parts stand.

    Examples:

    contextrl-data audit data/runs/coding-0123456789abcdef/dataset --strict --write-card

    contextrl-data audit pairs.jsonl --set columns.context_pos=chosen --set columns.context_neg=rejected --set columns.answer=response

    contextrl-data audit org/name --json audit.json --set contamination.ids=[swe_bench_ids.txt]
    """
    from contextrl_data.stages.audit.command import audit_command
    from contextrl_data.stages.audit.config import AuditConfig

    loaded = configs.load(AuditConfig, configs.find(config) if config else None, settings or [])
    raise typer.Exit(audit_command(dataset, loaded, console(), json_file=json, card=write_card, strict=strict))
