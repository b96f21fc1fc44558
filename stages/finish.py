"""The end of a build: publish the dataset, audit it, write the report, and tell a person where they are and what to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contextrl_data.pipeline.build import BuildFolder, publish_files
from contextrl_data.pipeline.plan import RunSettings
from contextrl_data.pipeline.runner import Finished
from contextrl_data.pipeline.store import first_failure
from contextrl_data.stages.audit.command import STRICT, write_into_card
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.result import AuditResult
from contextrl_data.stages.audit.run import audit_dataset
from contextrl_data.stages.card import write_card
from contextrl_data.stages.report import report_command


def finish_build(
    build: BuildFolder,
    finished: dict[str, Finished],
    config: BaseModel,
    run: RunSettings,
    audit: AuditConfig,
    report_pairs: int | None,
    shown: Sequence[str],
    console: Console,
) -> int:
    """Publish what came out; `shown` names the stages whose notes are worth a line.

    Returns the exit code: 1 where data is missing, 3 where `run.strict` is set and the audit failed.
    """
    dataset = build.path / "dataset"
    publish_files(finished["export"].folder.files / "dataset", dataset)
    record = write_card(dataset, build.funnel(), config.model_dump(mode="json", exclude={"run", "backend"}))
    with console.status("auditing the dataset"):
        audited = audit_dataset(str(dataset), audit)
    write_into_card(dataset, audited)
    with console.status("writing the report"):
        report = report_command(run.root, str(build.path), None, report_pairs, say=console.print)
    _say(console, finished, record, shown)
    _say_audit(console, dataset, audited)
    console.print()
    console.print(Text(f"dataset:  {dataset}", style="bold"), soft_wrap=True)
    console.print(Text(f"report:   {report}", style="bold"), soft_wrap=True)
    console.print(Text(f"next:     contextrl-data status {build.path}"), soft_wrap=True)
    return exit_code(console, run, finished) or (STRICT if run.strict and not audited.passed else 0)


def _say(console: Console, finished: dict[str, Finished], record: dict[str, Any], shown: Sequence[str]) -> None:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("blind baseline", "accuracy", "95 % interval", "pairs", "at chance"):
        table.add_column(name, justify="left" if name == "blind baseline" else "right")
    for line in record["baselines"]:
        chance = line["low"] <= 0.5 <= line["high"]
        table.add_row(
            line["name"],
            f"{line['accuracy']:.3f}",
            f"{line['low']:.3f}-{line['high']:.3f}",
            f"{line['n']:,}",
            "yes" if chance else Text("NO", style="bold red"),
        )
    console.print()
    console.print(table)
    for name in shown:
        if name in finished and (message := finished[name].manifest.notes.get("message")):
            console.print(Text(f"{name}: {message}"), soft_wrap=True)
    checks = Counter[str]()
    for _, outcome, count in record["checks"]:
        checks[outcome] += count
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(checks.items()))
    console.print(Text(f"checks on record: {told or 'none'}"))


def _say_audit(console: Console, dataset: Path, audited: AuditResult) -> None:
    verdict = "passed" if audited.passed else f"FAILED: {', '.join(audited.reasons)}"
    console.print(Text(f"audit: {verdict}", style="" if audited.passed else "red"), soft_wrap=True)
    if not audited.passed:
        console.print(Text(f"audit: contextrl-data audit {dataset} says more"), soft_wrap=True)


def exit_code(console: Console, run: RunSettings, finished: dict[str, Finished]) -> int:
    """1 where more rows failed than `run.allow_failed` tolerates: data is missing, and a script must see it."""
    code = 0
    for name, done in finished.items():
        failed = sum(done.manifest.failed.values())
        if failed > run.allow_failed * max(done.manifest.rows_in, 1):
            reasons = ", ".join(f"{count} {boundary}" for boundary, count in done.manifest.failed.items())
            line = f"{name}: {failed} of {done.manifest.rows_in} rows failed ({reasons}): run again to retry them"
            console.print(
                Text(f"{line}, or accept a share with --set run.allow_failed=0.01", style="red"), soft_wrap=True
            )
            row, why = first_failure(done.folder)
            console.print(Text(f"{name}: the first was {row}: {why}", style="red"), soft_wrap=True)
            code = 1
    return code
