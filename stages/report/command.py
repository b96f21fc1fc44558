"""`contextrl-data report`: find what to report on, a build or a dataset folder, and write the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from contextrl_data.pipeline.build import BuildFolder, find_build
from contextrl_data.pipeline.calls import summed
from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.card import PROVENANCE, funnel_record, read_provenance
from contextrl_data.stages.report.overview import Overview, overview_of
from contextrl_data.stages.report.page import MAX_BYTES, write_report
from contextrl_data.stages.report.rows import dataset_rows, waiting_ids, waiting_rows


def report_command(
    root: Path,
    run: str | None,
    out: Path | None,
    pairs: int | None = None,
    max_bytes: int = MAX_BYTES,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write the report of a dataset folder, or of a build (the latest below `root` unless named); return its path.

    It shows every pair unless `pairs` or `max_bytes` stops it earlier, which `say` is then told. A build's page begins
    with the pairs that wait for a person.

    Raises:
        UserError: there is no such build or dataset.
    """
    build: BuildFolder | None = None
    if run is not None and (Path(run) / PROVENANCE).is_file():
        dataset = Path(run)
        target = out or dataset.parent / f"{dataset.name}-report.html"
    else:
        build = _build(root, run)
        dataset, target = build.path / "dataset", out or build.path / "report.html"
    exported = (dataset / PROVENANCE).is_file()
    overview = overview_of(read_provenance(dataset)) if exported else Overview("")
    waiting = (waiting_ids(build) - (_pair_ids(dataset) if exported else set())) if build else set()
    if build is not None:
        overview = _of_build(overview, build, len(waiting))
    overview = replace(overview, total=overview.total + len(waiting))
    left = None if pairs is None or pairs >= overview.total else max(pairs - len(waiting), 0)
    rows = chain(waiting_rows(build, waiting) if build else (), dataset_rows(dataset, left) if exported else ())
    shown = write_report(target, islice(rows, pairs), overview, max_bytes)
    if shown < overview.total:
        reason = "--pairs" if shown == pairs else "--max-size"
        say(f"the page shows {shown} of {overview.total} pairs: {reason} stopped it")
    return target


def _build(root: Path, run: str | None) -> BuildFolder:
    try:
        return find_build(root, run)
    except RunError as error:
        if run is None:
            raise
        remedy = f"give a build's folder, or a dataset folder that contextrl-data exported (it has {PROVENANCE})"
        raise RunError(error.problem, remedy) from error


def _of_build(overview: Overview, build: BuildFolder, waiting: int) -> Overview:
    """A build's own funnel and settings are fresher than those on the dataset's record."""
    funnel = [funnel_record(row) for row in build.funnel()]
    tiles = [*overview.tiles, *([("wait for review", waiting)] if waiting else []), *_spent(build)]
    title = overview.title or f"{build.name}: not finished"
    return replace(overview, title=title, funnel=funnel, config=_config(build) or overview.config, tiles=tiles)


def _spent(build: BuildFolder) -> list[tuple[str, object]]:
    """What its calls of models came to, where it made any."""
    spent = summed(build.calls())
    if not spent:
        return []
    unpriced = sum(one.unpriced for one in spent)
    dollars = f"{sum(one.dollars for one in spent):,.2f}{' or more' if unpriced else ''}"
    return [("calls of models", sum(one.calls for one in spent)), ("US dollars", dollars)]


def _pair_ids(dataset: Path) -> set[str]:
    files = [dataset / file["id"] for file in read_provenance(dataset)["files"]]
    return {pair_id for path in files for pair_id in pq.read_table(path, columns=["pair_id"])["pair_id"].to_pylist()}


def _config(build: BuildFolder) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load((build.path / "resolved.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
