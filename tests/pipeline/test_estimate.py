"""The dry estimate over the toy pipeline: what is reused, what is left, and where yields come from."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import toy_pipeline as toy
from rich.console import Console

from contextrl_data.pipeline.build import start_build
from contextrl_data.pipeline.calls import CallLedger, read_calls
from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.estimate import Estimate, StageEstimate, estimate
from contextrl_data.pipeline.estimate_table import as_json, show_estimate
from contextrl_data.pipeline.former import Yield
from contextrl_data.pipeline.outlook import CallsAhead, Outlook
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.store import StageFolder

SHIPPED = {"numbers": Yield(100, 90, 100, 1000), "split": Yield(100, 150, 150, 3000)}


class Numbers(toy.Numbers):
    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        return Outlook(self.config.count)


class Asking(toy.Dear):
    """Asks a model twice a row, in a container."""

    fixed = False

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        ahead = CallsAhead("toy", 2, 100, 10, "assumed", most_dollars=0.5, price_setting="toy.price", fixed=self.fixed)
        return Outlook(rows, containers=rows, calls=ahead)


def chain(count: int = 300, flag: str = "") -> list[Step]:
    return [
        Step(Numbers(toy.NumbersConfig(count=count))),
        Step(toy.Split(toy.SplitConfig(factor=3)), after="numbers"),
        Step(Asking(toy.SplitConfig(fail_file=flag)), after="split"),
    ]


def price(ahead: CallsAhead, prompt: float, reply: float) -> float | None:
    return (prompt + reply) / 1e6 if ahead.model == "toy" else None


def plan(root: Path, steps: Sequence[Step]) -> tuple[Estimate, dict[str, StageEstimate]]:
    found = estimate("toy", steps, root, SHIPPED, price)
    return found, {one.stage: one for one in found.stages}


def run(root: Path, steps: Sequence[Step], *, whole: bool = True) -> None:
    settings = RunSettings(root=root)
    start_build("toy", settings, settings, steps)
    toy.run(root, list(steps) if whole else list(steps)[:2])


def test_with_nothing_on_disk_the_shipped_yields_count(tmp_path: Path) -> None:
    found, stages = plan(tmp_path, chain())
    assert (stages["numbers"].rows_in, stages["numbers"].rows_out) == (300, pytest.approx(270))
    assert stages["split"].rows_out == pytest.approx(405)
    assert (stages["dear"].containers, stages["dear"].calls) == (pytest.approx(405), pytest.approx(810))
    assert stages["dear"].dollars == pytest.approx(810 * 110 / 1e6)
    assert [one.basis for one in found.stages] == ["shipped", "shipped", "assumed"]
    assert stages["split"].disk_bytes == pytest.approx(405 * 20)
    assert stages["dear"].disk_bytes is None, "of this stage nobody has measured anything"
    assert not list(tmp_path.iterdir()), "an estimate writes nothing"


def test_what_is_finished_is_reused_and_what_is_begun_is_counted(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    flag.touch()
    steps = chain(flag=str(flag))
    steps[2] = Step(steps[2].stage, after="numbers")
    run(tmp_path / "runs", steps)
    found, stages = plan(tmp_path / "runs", steps)
    assert [stages[name].state for name in ("numbers", "split", "dear")] == ["reused", "reused", "begun"]
    assert stages["dear"].rows_in == 297
    assert stages["dear"].rows_done == 267, "the 30 that failed are left"
    assert found.containers == pytest.approx(30)
    flag.unlink()
    run(tmp_path / "runs", steps)
    found, stages = plan(tmp_path / "runs", steps)
    assert {one.state for one in found.stages} == {"reused"}
    assert (found.containers, found.calls, found.dollars, found.disk_bytes) == (0, 0, 0, 0)
    console = Console(file=io.StringIO(), width=160)
    show_estimate(found, console)
    assert "all 3 stages are finished and will be reused" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_stopped_stage_leaves_what_its_journal_does_not_hold(tmp_path: Path) -> None:
    run(tmp_path, chain(), whole=False)
    finished = toy.run(tmp_path, chain())["dear"]
    lines = finished.folder.journal.read_bytes().splitlines(keepends=True)
    for path in [*finished.folder.path.glob("*.parquet"), finished.folder.path / "manifest.json"]:
        path.unlink()
    finished.folder.journal.write_bytes(b"".join(lines[:100]))
    found, stages = plan(tmp_path, chain())
    assert (stages["dear"].state, stages["dear"].rows_done) == ("begun", 100)
    assert found.containers == pytest.approx(len(lines) - 100)


def test_former_runs_go_before_shipped_figures_and_are_named(tmp_path: Path) -> None:
    run(tmp_path, chain())
    found, stages = plan(tmp_path, chain(count=600))
    assert {one.basis for one in found.stages} == {"former runs"}
    real = {name: done.manifest for name, done in toy.run(tmp_path / "real", chain(count=600)).items()}
    for name, manifest in real.items():
        assert stages[name].rows_out == pytest.approx(manifest.rows_out, rel=0.1)
        size = sum(path.stat().st_size for path in (tmp_path / "real").glob(f"{name}-*/*.parquet"))
        assert (stages[name].disk_bytes or 0) >= size / 2
    assert sorted(name.rpartition("-")[0] for name in found.former) == ["dear", "numbers", "split"]
    other = estimate("other", chain(count=600), tmp_path, SHIPPED, price)
    assert other.former == [], "builds of another name measure other rows"


def test_calls_on_record_go_before_the_assumption(tmp_path: Path) -> None:
    run(tmp_path, chain())
    (folder,) = tmp_path.glob("dear-*")
    ledger = CallLedger(folder, "dear")
    for row in range(10):
        for _ in range(4):
            with ledger.call("toy", f"extra-{row}") as call:
                call.prompt_tokens, call.completion_tokens = 1000, 100
    before = len(list(folder.glob("calls/*")))
    _, stages = plan(tmp_path, chain(count=600))
    assert before == 2
    rows = stages["dear"].rows_in
    assert stages["dear"].prompt_tokens / stages["dear"].calls == pytest.approx(1000)
    assert rows < stages["dear"].calls < 2 * rows, "most rows were served by one call, ten by four"
    assert "calls on record" in stages["dear"].told[-1]


class Voting(Asking):
    """As many calls a row as its config says."""

    fixed = True


def test_rows_of_several_runs_are_not_one_row_and_the_configs_votes_are_not_overruled(tmp_path: Path) -> None:
    for count in (60, 90):  # the same row ids in both
        run(tmp_path, chain(count=count))
    for folder in tmp_path.glob("dear-*"):
        ledger = CallLedger(folder, "dear")
        for row in [line.row for line in read_calls(StageFolder(folder))]:
            for _ in range(2):
                with ledger.call("toy", row) as call:
                    call.prompt_tokens, call.completion_tokens = 1000, 100
    _, stages = plan(tmp_path, chain(count=600))
    assert stages["dear"].calls == pytest.approx(3 * stages["dear"].rows_in)
    *before, last = chain(count=600)
    _, stages = plan(tmp_path, [*before, Step(Voting(last.stage.config), after=last.after)])
    assert stages["dear"].calls == pytest.approx(2 * stages["dear"].rows_in)
    assert stages["dear"].prompt_tokens / stages["dear"].calls == pytest.approx(1000)


def test_calls_are_priced_one_by_one(tmp_path: Path) -> None:
    def dear_when_long(ahead: CallsAhead, prompt: float, reply: float) -> float:
        return (prompt + reply) * (1 if prompt <= 200 else 2)

    dear = estimate("toy", chain(), tmp_path, SHIPPED, dear_when_long).stages[-1]
    assert dear.dollars == dear.most_dollars, "the limit of a row holds"
    cheap = estimate("toy", chain(), tmp_path, SHIPPED, lambda *told: dear_when_long(*told) / 1e6).stages[-1]
    assert cheap.dollars == pytest.approx(810 * 110 / 1e6)


def test_a_price_that_nobody_knows_is_no_zero(tmp_path: Path) -> None:
    found = estimate("toy", chain(), tmp_path, SHIPPED, lambda *_: None)
    dear = found.stages[-1]
    assert (dear.dollars, dear.most_dollars) == (None, None), "without a price no limit holds either"
    assert any("set toy.price" in line for line in dear.told)
    assert as_json(found)["to_do"]["dollars"] is None
    capped = estimate("toy", chain(), tmp_path, SHIPPED, lambda *_: 1e9).stages[-1]
    assert capped.dollars == capped.most_dollars == pytest.approx(405 * 0.5)


def test_what_cannot_be_told_without_a_network_is_said(tmp_path: Path) -> None:
    class Far(toy.Split):
        def fingerprint(self) -> str:
            raise ConnectionError("no route to the hub")

    steps = chain()
    run(tmp_path, steps)
    steps[1] = Step(Far(toy.SplitConfig(factor=3)), after="numbers")
    found, stages = plan(tmp_path, steps)
    assert [one.state for one in found.stages] == ["reused", "to do", "to do"]
    assert "no route to the hub" in found.notes[0]
    assert stages["split"].rows_in == 297

    class Wrong(toy.Split):
        def fingerprint(self) -> str:
            raise InputError("no such file", "mend the path")

    steps[1] = Step(Wrong(toy.SplitConfig()), after="numbers")
    with pytest.raises(InputError, match="no such file"):
        plan(tmp_path, steps)
