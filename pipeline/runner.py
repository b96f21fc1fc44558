"""Runs a list of stages: keys, resume, counts.

Guarantees, each held by a test:

- rows in = kept + dropped + failed, at every stage, and every shard is there with the bytes that its manifest names;
- a changed setting reruns that stage and what follows, nothing before it;
- a kill at any moment and a resume give the same bytes as a run that nobody disturbed;
- workers, executor and size of parts change nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from contextrl_data.pipeline.calls import dollars_of, read_calls
from contextrl_data.pipeline.counters import StageProgress
from contextrl_data.pipeline.errors import ContextRLError, InputError, RunError
from contextrl_data.pipeline.executors import Executor, Job
from contextrl_data.pipeline.executors.local import LocalExecutor, cores
from contextrl_data.pipeline.feed import Feed
from contextrl_data.pipeline.journal import Journal
from contextrl_data.pipeline.manifest import InFiles, Manifest, Shard
from contextrl_data.pipeline.origin import git_commit, package_version
from contextrl_data.pipeline.plan import RunSettings, Step, inputs_of, keys_of
from contextrl_data.pipeline.progress import Progress
from contextrl_data.pipeline.shards import describe_shards, stored_schema
from contextrl_data.pipeline.stage import (
    Context,
    Gather,
    Map,
    Sift,
    Source,
    Stage,
    Tell,
)
from contextrl_data.pipeline.store import PLACE, StageFolder, count_ledger, write_atomic
from contextrl_data.pipeline.stored import StoredRows
from contextrl_data.pipeline.whole import Told, run_gather, run_sift, run_source


@dataclass
class Finished:
    """A finished stage."""

    folder: StageFolder
    manifest: Manifest
    reused: bool = False

    @property
    def rows(self) -> StoredRows:
        """Its rows."""
        return StoredRows(self.folder.path, self.manifest)


@dataclass
class Runner:
    """Runs steps in order, each in the folder of its key."""

    settings: RunSettings
    progress: Progress = field(default_factory=Progress)
    executor: Executor = field(default_factory=LocalExecutor)
    _found: list[tuple[Stage[Any], Finished]] = field(default_factory=list)

    def run(self, steps: Sequence[Step]) -> dict[str, Finished]:
        """Run every step that is not finished already; returns them by stage name, in order."""
        keys = keys_of(steps)
        finished: dict[str, Finished] = {}
        for step in steps:
            folder = StageFolder(self.settings.root / f"{step.stage.name}-{keys[step.stage.name]}")
            folder.create()
            with locked(folder.path):
                done = self._step(step, keys[step.stage.name], folder, finished)
            finished[step.stage.name] = done
            if not done.manifest.rows_out and any(later.after == step.stage.name for later in steps):
                raise _nothing_left(done.manifest)
        return finished

    def _step(self, step: Step, key: str, folder: StageFolder, finished: dict[str, Finished]) -> Finished:
        inputs = {name: finished[name].manifest.digest for name in inputs_of(step)}
        main = finished[step.after].rows if step.after else None
        shown = self.progress.begin(step.stage.name, len(main) if main is not None else None)
        manifest = folder.manifest()
        if manifest and manifest.inputs == inputs and not manifest.failed:
            folder.verify(manifest)
            self.progress.end(shown, manifest, reused=True)
            self._found.append((step.stage, Finished(folder, manifest, reused=True)))
            return self._found[-1][1]
        if getattr(step.stage, "work", "") == "thread":
            self._restore()
        self._prepare(folder, manifest, inputs, isinstance(step.stage, Map))
        started = time.monotonic()
        context = Context(
            folder=folder.path,
            sides={known: finished[name].rows for known, name in step.beside.items()},
            workers=self._workers(step.stage),
            run_id=key,
        )
        told = self._work(step.stage, context, folder, main, shown)
        shards = describe_shards(folder)
        counts = count_ledger(folder)
        below = None
        if step.after and PLACE in stored_schema(step.stage).names:
            below = finished[step.after].folder.path.name, finished[step.after].manifest.digest
        manifest = Manifest(
            stage=step.stage.name,
            version=step.stage.version,
            key=key,
            config=step.stage.config.model_dump(mode="json"),
            inputs=inputs,
            below=below,
            in_files=told.in_files,
            rows_in=len(main) if main is not None else sum(s.rows_in for s in shards),
            kept=counts["kept", ""],
            dropped={reason: n for (status, reason), n in sorted(counts.items()) if status == "dropped"},
            failed={reason: n for (status, reason), n in sorted(counts.items()) if status == "failed"},
            rows_out=sum(s.rows_out for s in shards),
            shards=shards,
            digest=_digest(shards, below, told.in_files),
            funnel=told.funnel,
            notes=told.notes,
            seconds=round(time.monotonic() - started + _spent(folder), 2),
            cost=dollars_of(read_calls(folder)),
            git_commit=git_commit(),
            package=package_version(),
        )
        folder.finish(manifest)
        self.progress.end(shown, manifest)
        return Finished(folder, manifest)

    def _workers(self, stage: Stage[Any]) -> int:
        return self.settings.workers or (self.executor.workers(stage) if isinstance(stage, Map) else cores())

    def _restore(self) -> None:
        """Work outside is ahead: let the stages that were found finished bring back what lies outside the store."""
        for stage, finished in self._found:
            stage.restore(finished.rows)
        self._found.clear()

    @staticmethod
    def _prepare(folder: StageFolder, manifest: Manifest | None, inputs: dict[str, str], by_row: bool) -> None:
        """Keep what still holds: shards of the same input; after failures, all but the shards that hold them."""
        stamp = folder.path / "inputs.json"
        known = orjson.loads(stamp.read_bytes()) if stamp.exists() else inputs
        if known != inputs or not by_row:
            folder.clear()
        elif manifest is not None:
            folder.reopen()
        write_atomic(stamp, orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS))

    def _work(
        self,
        stage: Stage[Any],
        context: Context,
        folder: StageFolder,
        main: StoredRows | None,
        shown: StageProgress,
    ) -> Told:
        started = time.monotonic()
        if not isinstance(stage, Map):  # a map is shown by its rows, and its context goes to other processes
            context = replace(context, tell=self._teller(shown))
        try:
            if isinstance(stage, Map) and main is not None:
                self._map(stage, context, folder, main, shown)
            elif isinstance(stage, Sift) and main is not None:
                return run_sift(stage, context, folder, main, shown)
            elif isinstance(stage, Gather) and main is not None:
                return run_gather(stage, context, folder, main, shown)
            elif isinstance(stage, Source):
                return run_source(stage, context, folder, shown)
            else:
                raise ContextRLError(f"{stage.name}: a {type(stage).__name__} needs an input")
        except BaseException:
            _spent(folder, time.monotonic() - started)
            raise
        return Told()

    def _teller(self, shown: StageProgress) -> Tell:
        def tell(what: str, done: int, total: int | None = None) -> None:
            shown.at(what, done, total)
            self.progress.refresh()

        return tell

    def _map(
        self, stage: Map[Any], context: Context, folder: StageFolder, main: StoredRows, shown: StageProgress
    ) -> None:
        with _journal(stage, context, folder) as journal:
            feed = Feed(stage, folder, main, journal, self.settings.shard_rows, shown, self.progress)
            job = Job(stage, context, self.settings.retries, main)
            for number, outcomes in self.executor.run(job, feed.batches(), context.workers):
                feed.take(number, outcomes)
            feed.finish()


@contextmanager
def _journal(stage: Map[Any], context: Context, folder: StageFolder) -> Iterator[Journal | None]:
    if not stage.is_dear(context.sides):
        yield None
        return
    with Journal(folder.journal) as journal:
        yield journal


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a folder for this process; the lock goes with the process, however it ends."""
    with (path / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{path} is in use by another build", "wait for it, or stop it, then run again") from error
        yield


def _spent(folder: StageFolder, more: float = 0.0) -> float:
    """Seconds that interrupted attempts took; `more` is added to them."""
    path = folder.path / "spent"
    # A disk that filled up, or a kill, may have left the file empty.
    before = float(path.read_text() or 0.0) if path.exists() else 0.0
    if more:
        with suppress(OSError):  # a full disk is told by what failed first; this is only a figure for the report
            path.write_text(f"{before + more:.2f}")
    return before


def _digest(shards: Sequence[Shard], below: tuple[str, str] | None, in_files: InFiles | None) -> str:
    """Of all that the rows are made of."""
    files = [file.sha256 for file in in_files.files] if in_files is not None else []
    return hashlib.sha256(
        "".join([*(s.sha256 for s in shards), below[1] if below else "", *files]).encode()
    ).hexdigest()


def _nothing_left(manifest: Manifest) -> InputError:
    """Why the stages that follow have nothing to do."""
    dropped = [f"dropped {count:,} {reason}" for reason, count in manifest.dropped.items()]
    failed = [f"failed {count:,} {boundary}" for boundary, count in manifest.failed.items()]
    told = ", ".join([*dropped, *failed]) or "it found none"
    remedy = "run the same command again to retry what failed" if failed else "loosen the settings that dropped them"
    return InputError(
        f"nothing is left after {manifest.stage} ({manifest.rows_in:,} rows in: {told})",
        f"{remedy}; `contextrl-data status` shows every stage",
    )
