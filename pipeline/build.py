"""One build: a named run of steps, with a folder that says what it was made of.

    data/runs/coding-<key>/
      resolved.yaml     every setting, as it was
      build.json        the stages, in order, with their keys
      dataset/          what came out (hard links to the export's files)
      report.html

A build's key is that of its last stage, so the same config lands in the same folder, and resumes there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from pydantic import BaseModel

from contextrl_data.pipeline.calls import Call, dollars_of, read_calls
from contextrl_data.pipeline.config import dump
from contextrl_data.pipeline.errors import ConfigError, RunError
from contextrl_data.pipeline.executors import Executor
from contextrl_data.pipeline.executors.local import LocalExecutor
from contextrl_data.pipeline.executors.ray import RayExecutor
from contextrl_data.pipeline.manifest import Manifest
from contextrl_data.pipeline.plan import RunSettings, Step, keys_of
from contextrl_data.pipeline.progress import Progress
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Map
from contextrl_data.pipeline.store import StageFolder, count_ledger, write_atomic


@dataclass(frozen=True)
class FunnelRow:
    """What one stage did with its rows."""

    stage: str
    state: str
    """`done`, `stopped` (begun, not finished) or `waiting`."""
    rows_in: int
    kept: int
    dropped: dict[str, int]
    failed: dict[str, int]
    rows_out: int
    steps: list[tuple[str, int]]
    """Named survivor counts inside the stage."""
    seconds: float
    cost: float
    notes: dict[str, Any]


@dataclass(frozen=True)
class BuildFolder:
    """A build on disk, running, stopped or finished."""

    path: Path
    name: str
    stages: list[tuple[str, str]]
    """Stage names and keys, in order."""

    def stage_folder(self, stage: str) -> StageFolder:
        """Folder of one of its stages."""
        return StageFolder(self.path.parent / f"{stage}-{dict(self.stages)[stage]}")

    def finished(self, stage: str) -> Finished:
        """One finished stage.

        Raises:
            RunError: the build has no such stage, or it has not finished.
        """
        if stage not in dict(self.stages):
            raise RunError(f"build {self.path} has no stage {stage!r}", f"it has {', '.join(dict(self.stages))}")
        folder = self.stage_folder(stage)
        manifest = folder.manifest()
        if manifest is None:
            raise RunError(
                f"build {self.path} has not finished {stage!r}", "run the same build command again: it resumes"
            )
        return Finished(folder, manifest, reused=True)

    def funnel(self) -> list[FunnelRow]:
        """Every stage, with its counts so far."""
        return [self._row(name) for name, _ in self.stages]

    def calls(self) -> Iterator[Call]:
        """Every call of a model that its stages made, also those of runs that were stopped."""
        for stage, _ in self.stages:
            yield from read_calls(self.stage_folder(stage))

    def _row(self, stage: str) -> FunnelRow:
        folder = self.stage_folder(stage)
        manifest = folder.manifest() if folder.path.exists() else None
        if manifest is not None:
            return funnel_row(manifest)
        counts = count_ledger(folder) if folder.path.exists() else {}
        dropped = {reason: n for (status, reason), n in counts.items() if status == "dropped"}
        failed = {reason: n for (status, reason), n in counts.items() if status == "failed"}
        kept = sum(n for (status, _), n in counts.items() if status == "kept")
        begun = folder.path.exists()
        out = sum(pq.read_metadata(path).num_rows for path in folder.path.glob("data-*.parquet")) if begun else 0
        total = kept + sum(dropped.values()) + sum(failed.values())
        saved = folder.journal.read_bytes().count(b"\n") if folder.journal.exists() else 0
        notes = {"journalled": saved} if saved else {}
        return FunnelRow(
            stage,
            "stopped" if begun else "waiting",
            total,
            kept,
            dropped,
            failed,
            out,
            [],
            0.0,
            dollars_of(read_calls(folder)),
            notes,
        )


def funnel_row(manifest: Manifest) -> FunnelRow:
    """A finished stage as a line of the funnel."""
    return FunnelRow(
        stage=manifest.stage,
        state="done",
        rows_in=manifest.rows_in,
        kept=manifest.kept,
        dropped=manifest.dropped,
        failed=manifest.failed,
        rows_out=manifest.rows_out,
        steps=manifest.funnel,
        seconds=manifest.seconds,
        cost=manifest.cost,
        notes=manifest.notes,
    )


def run_build(
    name: str, config: BaseModel, settings: RunSettings, steps: Sequence[Step], progress: Progress
) -> tuple[BuildFolder, dict[str, Finished]]:
    """Record the build, run its steps, and return its folder and its finished stages."""
    folder = start_build(name, config, settings, steps)
    with progress:
        finished = Runner(settings, progress, _executor(settings, steps)).run(steps)
    return folder, finished


def _executor(settings: RunSettings, steps: Sequence[Step]) -> Executor:
    if settings.executor == "local":
        return LocalExecutor()
    known = [step.stage.name for step in steps if isinstance(step.stage, Map)]
    for name in settings.ray.stages:
        if name not in known:
            raise ConfigError(f"run.ray.stages.{name}: Ray runs no such stage here", f"it runs {', '.join(known)}")
    return RayExecutor(settings.ray)


def start_build(name: str, config: BaseModel, settings: RunSettings, steps: Sequence[Step]) -> BuildFolder:
    """Make (or find) the folder of this build and write down what it is made of."""
    keys = list(keys_of(steps).items())
    path = settings.root / f"{name}-{keys[-1][1]}"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"cannot make {path}: {error.strerror}", "choose another folder with --set run.root=FOLDER"
        ) from error
    write_atomic(path / "resolved.yaml", dump(config).encode())
    write_atomic(path / "build.json", orjson.dumps({"name": name, "stages": keys}, option=orjson.OPT_INDENT_2))
    os.utime(path / "build.json")
    return BuildFolder(path, name, keys)


def builds(root: Path) -> list[BuildFolder]:
    """Every build below `root`, the latest last."""
    records = sorted(root.glob("*/build.json"), key=lambda path: (path.stat().st_mtime_ns, path))
    return [read_build(record.parent) for record in records]


def read_build(path: Path) -> BuildFolder:
    """The build in a folder.

    Raises:
        RunError: the folder is no build.
    """
    try:
        record = orjson.loads((path / "build.json").read_bytes())
        return BuildFolder(path, record["name"], [(stage, key) for stage, key in record["stages"]])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is no build folder", "`contextrl-data status` lists the builds there are") from error


def find_build(root: Path, wanted: str | None) -> BuildFolder:
    """A build by path or by name; the latest one where none is named."""
    if wanted is not None:
        path = Path(wanted)
        return read_build(path if path.exists() else root / wanted)
    known = builds(root)
    if not known:
        raise RunError(f"no build below {root}", "start one: contextrl-data build coding")
    return known[-1]


def publish_files(source: Path, target: Path) -> None:
    """Put a finished folder at a path people can find: hard links, copies where links are not possible."""
    fresh = target.with_name(target.name + ".part")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh, copy_function=_link)
    shutil.rmtree(target, ignore_errors=True)
    fresh.replace(target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
