"""What is to be run and how: steps, their keys, and the settings that are part of no key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import Field, field_validator

from contextrl_data.pipeline.executors.ray import RaySettings
from contextrl_data.pipeline.stage import Stage, StageConfig
from contextrl_data.pipeline.store import SHARD_ROWS


class RunSettings(StageConfig):
    """How to run, never what comes out: none of this is part of a key."""

    root: Path = Path("data/runs")
    """Folder of all runs."""
    executor: Literal["local", "ray"] = "local"
    """Where rows are processed: on this machine, or on a Ray cluster (see docs/cluster.md)."""
    ray: RaySettings = RaySettings()
    """The cluster, for `executor: ray`."""
    workers: int | None = Field(None, ge=1)
    """Workers per stage; default one process per core, two threads per core around containers."""
    shard_rows: int = Field(SHARD_ROWS, ge=1)
    """Input rows after which finished work is saved; smaller loses less to a kill and costs a little time."""
    retries: int = Field(2, ge=0)
    """How often a row that failed (never one that was dropped) is tried again before it counts as failed."""
    allow_failed: float = Field(0.0, ge=0.0, le=1.0)
    """Share of rows that may fail at a stage before the build ends with exit code 1."""
    strict: bool = False
    """End with exit code 3 where the dataset fails its audit."""

    @field_validator("root", mode="before")
    @classmethod
    def _a_folder(cls, root: Any) -> Any:
        """`Path` would take `s3://bucket/runs` for a folder named `s3:`."""
        if "://" in str(root):
            raise ValueError(
                "must be a folder that every worker sees; a store is renamed and locked, so no bucket will do"
            )
        return root


@dataclass(frozen=True)
class Step:
    """One stage in a pipeline."""

    stage: Stage[Any]
    after: str | None = None
    """Stage whose rows it reads; None for a source."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Name that the stage knows a side input by -> the stage whose rows it is."""


def inputs_of(step: Step) -> list[str]:
    """Names of the stages that a step reads."""
    return [*([step.after] if step.after else []), *step.beside.values()]


def keys_of(steps: Sequence[Step]) -> dict[str, str]:
    """Key of every step: sha256 of name, version, own config, what it reads outside, and the keys of its inputs."""
    keys: dict[str, str] = {}
    for step in steps:
        parts = {
            "name": step.stage.name,
            "version": step.stage.version,
            "config": step.stage.config.model_dump(mode="json"),
            "fingerprint": step.stage.fingerprint(),
            "inputs": {known: keys[name] for known, name in {"": step.after, **step.beside}.items() if name},
        }
        packed = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
        keys[step.stage.name] = hashlib.sha256(packed).hexdigest()[:16]
    return keys
