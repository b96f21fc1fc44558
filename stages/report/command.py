"""`contextrl-data report`: find what to report on, a build or a dataset folder, and write the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from contextrl_data.pipeline.build import BuildFolder, find_build
from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.card import PROVENANCE, funnel_record, read_provenance
from contextrl_data.stages.card_text import limits
from contextrl_data.stages.report.page import Overview, write_report
from contextrl_data.stages.report.pictures import write_picture_report


def report_command(root: Path, run: str | None, out: Path | None, pairs: int) -> Path:
    """Write the report of a dataset folder, or of a build (the latest below `root` unless named); return its path.

    Raises:
        UserError: there is no such build or dataset.
    """
    if run is not None and (Path(run) / PROVENANCE).is_file():
        folder = Path(run)
        return write_dataset_report(folder, out or folder.parent / f"{folder.name}-report.html", pairs)
    build = find_build(root, run)
    target = out or build.path / "report.html"
    dataset = build.path / "dataset"
    if (dataset / PROVENANCE).is_file():
        return write_dataset_report(dataset, target, pairs, build)
    funnel = [funnel_record(row) for row in build.funnel()]
    write_report(target, [], Overview(title=f"{build.name}: not finished", funnel=funnel, config=_config(build)))
    return target


def write_dataset_report(folder: Path, target: Path, pairs: int, build: BuildFolder | None = None) -> Path:
    """Report on an exported folder; a build's own funnel is fresher than the one on record."""
    overview = overview_of(read_provenance(folder))
    if build is not None:
        funnel = [funnel_record(row) for row in build.funnel()]
        overview = replace(overview, funnel=funnel, config=_config(build) or overview.config)
    if _has_pictures(folder):
        write_picture_report(target, picture_rows(folder, pairs), overview)
    else:
        write_report(target, islice(dataset_rows(folder), pairs), overview)
    return target


def _has_pictures(folder: Path) -> bool:
    return read_provenance(folder).get("family") == "images"


def overview_of(record: Mapping[str, Any]) -> Overview:
    """The first page, from a dataset's record."""
    tiles: list[tuple[str, object]] = [("pairs", record["rows"])]
    tiles += [(f"in {name}", facts["rows"]) for name, facts in record["splits"].items()]
    tiles += [(name, count) for name, count in record["distinct"].items() if name != "pairs"]
    if "repo" in record["counts"]:
        tiles.append(("repositories", len(record["counts"]["repo"])))
    else:
        tiles += [(name, count) for name, count in record["counts"]["domain"].items()]
    return Overview(
        title=record["title"],
        funnel=record["funnel"],
        audit=record["baselines"],
        config=record["config"],
        tiles=tiles,
        limits=limits(record),
        total=record["rows"],
    )


def dataset_rows(folder: Path) -> Iterator[Row]:
    """Rows of an exported folder, the splits taking turns, so that a short report shows something of each."""
    record = read_provenance(folder)
    files: dict[str, list[Path]] = {}
    for file in record["files"]:
        files.setdefault(file["split"], []).append(folder / file["id"])
    streams = [_stream(paths) for paths in files.values()]
    while streams:
        alive = []
        for stream in streams:
            batch = list(islice(stream, 2))  # both directions of a pair lie side by side
            yield from batch
            if batch:
                alive.append(stream)
        streams = alive


def picture_rows(folder: Path, most: int) -> Iterator[Row]:
    """One direction of some pairs, the domains and methods taking turns, in the order of the files."""
    record = read_provenance(folder)
    paths = [folder / file["id"] for file in record["files"]]
    kinds: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        for row in pq.read_table(path, columns=["id", "direction", "domain", "method"]).to_pylist():
            if row["direction"] == "forward":
                kinds.setdefault((row["domain"], row["method"]), []).append(row["id"])
    turns = [one for turn in zip_longest(*(kinds[kind] for kind in sorted(kinds))) for one in turn if one is not None]
    chosen = set(turns[:most])
    return (row for row in _stream(paths) if row["id"] in chosen)


def _stream(paths: list[Path]) -> Iterator[Row]:
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=50):
                    yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
            raise InputError(f"cannot read {path}: {error}", "the dataset folder is damaged: build it again") from error


def _config(build: BuildFolder) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load((build.path / "resolved.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
