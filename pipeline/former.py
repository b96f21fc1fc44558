"""What former runs below one root measured: yields and sizes of their stages, and the calls on their books."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contextrl_data.pipeline.build import builds
from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.manifest import Manifest
from contextrl_data.pipeline.stage import Stage
from contextrl_data.pipeline.store import StageFolder

ENOUGH_ROWS = 20
"""Rows in or out, over all former runs of a stage, from which their yield is believed."""


@dataclass(frozen=True)
class Yield:
    """What came of the rows of a stage that could come out, and the bytes that its folder took."""

    most: float
    """Rows that could come out, see `Stage.outlook`."""
    rows_out: float
    rows: float
    """The larger of the rows in and out, summed over the runs."""
    size: float
    """Bytes of its folders."""

    @property
    def share(self) -> float:
        """Rows that came out for each that could."""
        return self.rows_out / self.most if self.most else 0.0

    @property
    def bytes_per_row(self) -> float:
        """Bytes of the folder for each row, in or out, whichever are more."""
        return self.size / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Former:
    """Finished runs of one stage."""

    stage: str
    measured: Yield
    paths: list[Path]

    @property
    def folders(self) -> list[str]:
        """Their names."""
        return [path.name for path in self.paths]


def former_runs(name: str, root: Path, stages: Sequence[Stage[Any]]) -> dict[str, Former]:
    """Finished runs below `root` of these stages, in builds called `name` and the version that is installed; of each
    stage those with the very same config where they saw enough rows, else all of them."""
    found: dict[str, Former] = {}
    known = {folder for build in builds(root) if build.name == name for folder in build.stages}
    for stage in stages:
        paths = sorted(root / f"{one}-{key}" for one, key in known if one == stage.name)
        runs = [run for path in paths if (run := _finished(path, stage)) is not None]
        same = [run for run in runs if run[1].config == stage.config.model_dump(mode="json")]
        for chosen in (same, runs):
            if sum(max(manifest.rows_in, manifest.rows_out) for _, manifest in chosen) >= ENOUGH_ROWS:
                found[stage.name] = Former(stage.name, measured(stage, chosen), [path for path, _ in chosen])
                break
    return found


def _finished(path: Path, stage: Stage[Any]) -> tuple[Path, Manifest] | None:
    try:
        manifest = StageFolder(path).manifest()
        if manifest is None or manifest.stage != stage.name or manifest.version != stage.version or manifest.failed:
            return None
        type(stage.config).model_validate(manifest.config)
    except (StoreError, ValidationError):
        return None
    return path, manifest


def measured(stage: Stage[Any], runs: Sequence[tuple[Path, Manifest]]) -> Yield:
    """The yield over several finished runs of a stage, each told by its own config."""
    most = out = rows = size = 0.0
    for path, manifest in runs:
        own = copy.copy(stage)
        own.config = type(stage.config).model_validate(manifest.config)
        most += own.outlook(manifest.rows_in, {}).most
        out += manifest.rows_out
        rows += max(manifest.rows_in, manifest.rows_out)
        size += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Yield(most, out, rows, size)
