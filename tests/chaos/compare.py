"""A disturbed build beside the undisturbed one: the same bytes, no other label, nothing left over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq

from contextrl_data.pipeline.stage import Map

if TYPE_CHECKING:
    from chaos.episode import Build, Episode

LABELS = ("status", "resolved", "exit_status", "patch", "verdict", "verdict_reason", "votes", "checks", "answer")
"""Columns that are, or decide, what a row is taken for."""
STORY = {"inputs.json", "manifest.json", "journal.jsonl"}
"""Files that a stage's folder must have, and that tell how it was made: seconds, the order in which rows came."""
COMES_AND_GOES = {"spent", ".lock"}
"""Seconds of interrupted attempts, and the lock."""


def contents(build: Build, runs: Path) -> dict[str, str]:
    """Digest of every file that holds rows, ledgers or the dataset, and the name of every other file."""
    found = {}
    for folder in [*(build.stage_folder(stage) for stage in build.keys), f"{build.folder}/dataset"]:
        for path in sorted((runs / folder).rglob("*")):
            name = str(path.relative_to(runs))
            if path.parent.name == "calls":  # each process has a file of its own, under a name drawn by chance
                found[str(path.parent.relative_to(runs))] = ""
            elif path.is_file() and path.name not in COMES_AND_GOES:
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.name not in STORY else ""
    return found


def differences(build: Build, runs: Path) -> list[str]:
    """Names of files that are missing, too many, or hold other bytes than in the undisturbed run."""
    wanted, found = contents(build, build.runs), contents(build, runs)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def wrong_labels(episode: Episode) -> list[str]:
    """What finished ledgers, shards and journals say otherwise than the undisturbed run, row by row.

    A row that failed, or is not there, has no label. Rows are compared at stages that judge each row by itself.
    """
    found: list[str] = []
    for stage, shape in episode.build.stages.items():
        if isinstance(shape, Map):
            folder = episode.build.stage_folder(stage)
            wanted = dict(_labels(episode.build.runs / folder))
            for key, label in _labels(episode.runs / folder):
                if key in wanted and wanted[key] != label:
                    found.append(f"{stage} {key}: {str(label)[:150]} instead of {str(wanted[key])[:150]}")
    return found


def left_over(episode: Episode, before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """What outlives the resumed build: containers, volumes, networks, images, temporary and half-written files."""
    found = [f"{kind} {name}" for kind in before for name in sorted(after[kind] - before[kind])]
    found += [f"temporary file {path.relative_to(episode.tmp)}" for path in episode.tmp.rglob("*")]
    found += [f"half a file {path.name} in {path.parent.name}" for path in sorted(_halves(episode))]
    return [*episode.orphans, *found]


def _halves(episode: Episode) -> set[Path]:
    """Files under the names that they are written by, before they are renamed: of the store, and of what is shared."""
    names = ("*.part", ".part-*")
    return {path for root in (episode.folder, episode.runs) for name in names for path in root.rglob(name)}


def _labels(folder: Path) -> Iterator[tuple[tuple[str, str], Any]]:
    """(where, row id) -> what the row is taken for."""
    for path in sorted(folder.glob("ledger-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            if row["status"] != "failed":
                yield ("ledger", row["id"]), (row["status"], row["reason"], row["rows_out"])
    for path in sorted(folder.glob("data-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            yield ("data", row["id"]), {name: row[name] for name in LABELS if name in row}
    journal = folder / "journal.jsonl"
    for line in journal.read_bytes().splitlines(keepends=True) if journal.exists() else []:
        if line.endswith(b"\n"):
            record = orjson.loads(line)
            rows = [{name: row.get(name) for name in LABELS} for row in record.get("keep", [])]
            yield ("journal", record["id"]), rows or record.get("drop")
