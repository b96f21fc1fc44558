"""A run's folder: whose it is, what can be resumed in it, and what is written there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.train.config import TrainConfig

_EDGE = 1 << 20
_METHOD = ("lora_rank", "lora_alpha", "freeze_vision", "grpo")
"""Of the engine's settings, those that change what is learnt."""


def data_key(name: str) -> str:
    """Identity of a dataset: of a local folder its files, of a Hub dataset its name."""
    root = Path(name).expanduser()
    if not root.is_dir():
        return name
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".parquet", ".jsonl", ".json", ".csv")):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(root)}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_EDGE))
            if size > _EDGE:
                file.seek(max(_EDGE, size - _EDGE))
                digest.update(file.read(_EDGE))
    return digest.hexdigest()[:16]


def run_key(config: TrainConfig) -> str:
    """Identity of a run: its settings and data; not where it is written, how it is logged, or what it runs on."""
    settings = config.model_dump(mode="json", exclude={"output", "log"})
    settings["engine"] = {name: settings["engine"][name] for name in _METHOD}
    del settings["rl"]["sequences_per_device"], settings["contrast"]["pairs_per_forward"]  # memory, not method
    for part in ("pairs", "tasks"):
        settings[part]["dataset"] = data_key(settings[part]["dataset"])
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


class RunFolder:
    """The folder of one run. Only the main process writes."""

    def __init__(self, path: Path, main: bool = True) -> None:
        self.path = path
        self.main = main

    def prepare(self, config: TrainConfig, *, resume: bool) -> Path | None:
        """Claim the folder, and say which checkpoint to go on from.

        Raises:
            RunError: as `check`.
        """
        key = run_key(config)
        checkpoint = self.check(key, resume=resume)
        if self.main:
            self._claim(config, key, checkpoint)
        return checkpoint

    def check(self, key: str, *, resume: bool) -> Path | None:
        """Whether the run `key` may have the folder, and which checkpoint it would go on from; writes nothing.

        Raises:
            RunError: the folder holds something, and it is not this run's or `--resume` was not said.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file", "give a folder as output")
        marker = self.path / "run.json"
        there = self.path.is_dir() and any(self.path.iterdir())
        if there and not marker.is_file():
            raise RunError(f"{self.path} is not empty and holds no training run", "give another folder as output")
        if there and self.begun():
            before = json.loads(marker.read_text())["key"]
            if before != key:
                raise RunError(
                    f"{self.path} holds run {before}, and these settings or data make run {key}",
                    "give another folder as output, or the settings in its resolved.yaml",
                )
            if not resume:
                raise RunError(f"{self.path} already holds this run", "add --resume, or give another folder as output")
        return self.latest()

    def _claim(self, config: TrainConfig, key: str, checkpoint: Path | None) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make {self.path}: {error.strerror}", "give another folder as output") from error
        keys = {"key": key, "pairs": data_key(config.pairs.dataset), "tasks": data_key(config.tasks.dataset)}
        (self.path / "resolved.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        write_json(self.path / "run.json", keys)
        for torn in self.path.glob("checkpoint-*"):
            if not complete(torn):
                shutil.rmtree(torn)
        last = step_of(checkpoint) if checkpoint else 0
        log = self.path / "log.jsonl"
        kept = [line for line in self.log() if line["step"] <= last] if log.exists() and last else []
        log.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def begun(self) -> bool:
        """Whether there is anything to lose: a run that was refused before its first step may be started anew."""
        told = any(line["step"] or "selection/accuracy" in line for line in self.log())  # more than counts of the data
        return bool(self.latest() or self.result() or told)

    def latest(self) -> Path | None:
        """The newest whole checkpoint; one that a killed run was still writing does not count."""
        whole = [path for path in self.path.glob("checkpoint-*") if complete(path)]
        return max(whole, key=step_of) if whole else None

    def log(self) -> list[dict[str, Any]]:
        """Every whole log line."""
        file = self.path / "log.jsonl"
        lines = file.read_text().splitlines() if file.is_file() else []
        return [parsed for line in lines if (parsed := _parsed(line)) is not None]

    def append(self, values: Mapping[str, Any]) -> None:
        """Add one log line."""
        if self.main:
            with (self.path / "log.jsonl").open("a") as file:
                file.write(json.dumps(dict(values)) + "\n")

    def result(self) -> dict[str, Any] | None:
        """What a finished run came to."""
        file = self.path / "result.json"
        return json.loads(file.read_text()) if file.is_file() else None


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was written after."""
    return int(checkpoint.name.rpartition("-")[2])


def complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end: the trainer's state is written last."""
    state = checkpoint / "trainer_state.json"
    return state.is_file() and _parsed(state.read_text()) is not None and any(checkpoint.glob("rng_state*"))


def write_json(path: Path, value: Any) -> None:
    """Write a whole JSON file, or none."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1))
    part.replace(path)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
