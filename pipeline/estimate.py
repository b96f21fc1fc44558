"""A dry estimate of a build: what each stage has done already, and what is left of rows, containers, calls and disk.

Counts come from the config where it fixes them. Where it does not, they are yields: the share of the rows that can come
out which did so, measured in former runs below the same root, else in the runs that are shipped as figures, else none
is lost. A stage that has finished gives its own counts. Nothing is started and nothing is asked over a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from contextrl_data.pipeline.calls import read_calls
from contextrl_data.pipeline.errors import ConfigError, InputError, StoreError
from contextrl_data.pipeline.former import Former, Yield, former_runs
from contextrl_data.pipeline.manifest import Manifest
from contextrl_data.pipeline.outlook import CallsAhead, Outlook
from contextrl_data.pipeline.plan import Step, inputs_of, keys_of
from contextrl_data.pipeline.store import StageFolder, count_ledger

Basis = Literal["this build", "config", "former runs", "shipped", "assumed"]
Pricer = Callable[[CallsAhead, float, float], float | None]
"""Dollars for so many prompt and reply tokens of a model; None where the price is not known."""


@dataclass(frozen=True)
class StageEstimate:
    """One stage. What is left is told for the rows that have no outcome yet."""

    stage: str
    state: Literal["reused", "begun", "to do"]
    rows_in: float
    rows_out: float
    rows_done: float
    """Input rows with an outcome on disk."""
    basis: Basis
    """Where `rows_out` comes from."""
    containers: float = 0.0
    calls: float = 0.0
    model: str = ""
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    dollars: float | None = 0.0
    """None where calls are needed and their price is not known."""
    most_dollars: float | None = None
    """What the config lets it cost at most."""
    disk_bytes: float | None = 0.0
    """Of its folder; None where nothing was measured."""
    docker_bytes: float = 0.0
    told: list[str] = field(default_factory=list)
    """Assumptions, and what is not known."""


@dataclass(frozen=True)
class Estimate:
    """A whole build."""

    stages: list[StageEstimate]
    former: list[str]
    """Names of stages' former runs that yields were taken from."""
    notes: list[str]

    @property
    def containers(self) -> float:
        """Still to be started."""
        return sum(one.containers for one in self.stages)

    @property
    def calls(self) -> float:
        """Still to be made."""
        return sum(one.calls for one in self.stages)

    @property
    def dollars(self) -> float:
        """Of the calls with a known price."""
        return sum(one.dollars or 0.0 for one in self.stages)

    @property
    def disk_bytes(self) -> float:
        """Still to be written below the runs' root."""
        return sum(one.disk_bytes or 0.0 for one in self.stages)


def estimate(name: str, steps: Sequence[Step], root: Path, shipped: Mapping[str, Yield], price: Pricer) -> Estimate:
    """Estimate the build `name` that would run these steps below `root`."""
    keys, notes = _keys(steps)
    former = former_runs(name, root, [step.stage for step in steps])
    found: dict[str, StageEstimate] = {}
    digests: dict[str, str] = {}
    for step in steps:
        stage = step.stage.name
        folder = StageFolder(root / f"{stage}-{keys[stage]}") if stage in keys else None
        manifest = _manifest(folder)
        inputs = {other: digests.get(other) for other in inputs_of(step)}
        if manifest is not None and manifest.inputs == inputs and not manifest.failed:
            digests[stage] = manifest.digest
            found[stage] = StageEstimate(
                stage, "reused", manifest.rows_in, manifest.rows_out, manifest.rows_in, "this build"
            )
            continue
        sides = {known: found[other].rows_out for known, other in step.beside.items()}
        rows_in = found[step.after].rows_out if step.after else 0.0
        found[stage] = _Work(step, rows_in, sides, folder, former.get(stage), shipped.get(stage)).estimate(price)
    used = {one for each in former.values() if found[each.stage].basis == "former runs" for one in each.folders}
    return Estimate(list(found.values()), sorted(used), notes)


def _keys(steps: Sequence[Step]) -> tuple[dict[str, str], list[str]]:
    """Keys of the steps as far as they can be told: what asks the Hub for a commit cannot be, nor what follows it."""
    for place, step in enumerate(steps):
        try:
            step.stage.fingerprint()
        except (ConfigError, InputError):
            raise  # the build would end with it too
        except Exception as error:  # whatever a library says where there is no network
            fault = (str(error).splitlines() or [type(error).__name__])[0][:160]
            note = f"finished work is looked for only before {step.stage.name}: what it reads cannot be told here ({fault})"
            return keys_of(steps[:place]), [note]
    return keys_of(steps), []


def _manifest(folder: StageFolder | None) -> Manifest | None:
    try:
        return folder.manifest() if folder is not None else None
    except StoreError:
        return None


@dataclass(frozen=True)
class _Work:
    """A stage that has work left."""

    step: Step
    rows_in: float
    sides: Mapping[str, float]
    folder: StageFolder | None
    former: Former | None
    shipped: Yield | None

    def estimate(self, price: Pricer) -> StageEstimate:
        stage = self.step.stage
        outlook = stage.outlook(self.rows_in, self.sides)
        rows_in = self.rows_in if self.step.after else outlook.most
        out, basis, told = self._out(outlook)
        done = min(self._done(), rows_in)
        left = 1.0 - (done / rows_in if rows_in else 0.0)
        measured = self._measured()
        disk = None if measured is None else measured.bytes_per_row * max(rows_in, out) * left
        calls = self._calls(outlook.calls, rows_in * left, price) if outlook.calls else {}
        return StageEstimate(
            stage=stage.name,
            state="begun" if done else "to do",
            rows_in=rows_in,
            rows_out=out,
            rows_done=done,
            basis=basis,
            containers=outlook.containers * left,
            disk_bytes=disk,
            docker_bytes=outlook.docker_bytes * left,
            told=[*told, *calls.pop("told", [])],
            **calls,
        )

    def _measured(self) -> Yield | None:
        return self.former.measured if self.former is not None else self.shipped

    def _out(self, outlook: Outlook) -> tuple[float, Basis, list[str]]:
        told = [outlook.unknown] if outlook.unknown else []
        if outlook.exact:
            return outlook.most, "config", told
        measured = self._measured()
        if measured is not None:
            return outlook.most * measured.share, "former runs" if self.former is not None else "shipped", told
        if outlook.guess is not None:
            return outlook.most * outlook.guess, "assumed", [*told, f"yield {outlook.guess:g}: {outlook.told}"]
        return outlook.most, "assumed", [*told, "no yield was measured: all rows are taken to go on"]

    def _done(self) -> float:
        """Input rows that need no work again, whether the stage was stopped or some of its rows failed."""
        if self.folder is None or not self.folder.path.exists():
            return 0.0
        counts = count_ledger(self.folder)
        ended = sum(n for (status, _), n in counts.items() if status != "failed")
        saved = self.folder.journal.read_bytes().count(b"\n") if self.folder.journal.exists() else 0
        return max(ended, saved)

    def _calls(self, ahead: CallsAhead, rows: float, price: Pricer) -> dict[str, Any]:
        per_row, prompt, reply, told = self._per_call(ahead)
        calls = rows * per_row
        each = price(ahead, prompt, reply)  # of one call: many a model is dearer per token where a prompt is long
        dollars = None if each is None else calls * each
        most = None
        if dollars is not None and ahead.most_dollars is not None:  # without a price no limit can be held
            most = rows * ahead.most_dollars
            dollars = min(dollars, most)
        notes = [f"{ahead.model}: {told}"]
        if dollars is None:
            notes.append(f"the price of {ahead.model} is unknown: set {ahead.price_setting}")
        return {
            "calls": calls,
            "model": ahead.model,
            "prompt_tokens": calls * prompt,
            "completion_tokens": calls * reply,
            "dollars": dollars,
            "most_dollars": most,
            "told": notes,
        }

    def _per_call(self, ahead: CallsAhead) -> tuple[float, float, float, str]:
        """Calls a row and tokens a call, from the books of former runs with this model where there are enough."""
        folders = {*(self.former.paths if self.former else []), *([self.folder.path] if self.folder else [])}
        books = [(path, call) for path in sorted(folders) for call in read_calls(StageFolder(path))]
        books = [(path, call) for path, call in books if call.model == ahead.model]
        paid = [call for _, call in books if call.prompt_tokens is not None]
        if len(paid) < ENOUGH:
            return ahead.per_row, ahead.prompt_tokens, ahead.completion_tokens, ahead.told
        prompt = sum(call.prompt_tokens or 0 for call in paid) / len(paid)
        reply = sum(call.completion_tokens or 0 for call in paid) / len(paid)
        rows = {(path, call.row) for path, call in books}  # the rows of one run have names of their own
        per_row = ahead.per_row if ahead.fixed else len(books) / len(rows)
        told = f"{len(books):,} calls on record: {per_row:.1f} a row, {prompt:,.0f} + {reply:,.0f} tokens a call"
        return per_row, prompt, reply, told


ENOUGH = 20
"""Calls on record from which they are believed rather than the assumption."""
