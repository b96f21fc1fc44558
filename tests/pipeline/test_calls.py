"""The ledger of calls: threads, kills, a full disk, resumed builds; and what `status` makes of it."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import toy_pipeline as toy
from rich.console import Console

from contextrl_data.pipeline.build import start_build
from contextrl_data.pipeline.calls import CallLedger, Meter, read_calls, summed
from contextrl_data.pipeline.errors import RowFailure, SetupError
from contextrl_data.pipeline.plan import RunSettings, Step, keys_of
from contextrl_data.pipeline.status import show_status
from contextrl_data.pipeline.store import StageFolder


def test_threads_leave_a_line_each_with_what_became_of_the_call(tmp_path: Path) -> None:
    ledger = CallLedger(tmp_path, "judge")

    def one(number: int) -> None:
        with ledger.call("m", f"row-{number}", attempt=2) as call:
            if number % 5 == 0:
                raise RowFailure("model", "no")
            call.prompt_tokens, call.completion_tokens, call.dollars = 10, 2, 0.01

    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(one, number) for number in range(200)]
    assert sum(future.exception() is not None for future in futures) == 40
    calls = list(read_calls(StageFolder(tmp_path)))
    assert {call.row for call in calls} == {f"row-{number}" for number in range(200)}
    assert {call.status for call in calls if call.dollars is None} == {"RowFailure"}
    (spent,) = summed(calls)
    assert (spent.calls, spent.failed, spent.prompt_tokens, spent.completion_tokens) == (200, 40, 1600, 320)
    assert (spent.dollars, spent.unpriced) == (pytest.approx(1.6), 0)


KILLED = """
import sys
from pathlib import Path
from contextrl_data.pipeline.calls import CallLedger
ledger = CallLedger(Path(sys.argv[1]), "judge")
for number in range(10**6):
    with ledger.call("m", str(number)) as call:
        call.dollars = 1.0
    print(number, flush=True)
"""


def test_a_kill_loses_no_call_that_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) == 20:
                    process.send_signal(signal.SIGKILL)
                    break
            told = 20 + len(process.stdout.read().split())
        kept = {int(call.row) for call in read_calls(StageFolder(tmp_path))}
        assert set(range(told)) <= kept
    assert len(list((tmp_path / "calls").iterdir())) == 2, "each process has a file of its own"


FULL = """
import resource, signal, sys
from pathlib import Path
from contextrl_data.pipeline.calls import CallLedger, read_calls
from contextrl_data.pipeline.errors import SetupError
from contextrl_data.pipeline.store import StageFolder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
ledger = CallLedger(folder, "judge")
for row, limit in (("a", -1), ("b", 300), ("c", -1)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
    try:
        with ledger.call("m", row):
            pass
    except SetupError as error:
        print("told:", error)
print(*(call.row for call in read_calls(StageFolder(folder))))
"""


def test_a_full_disk_is_told_and_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    told, rows = done.stdout.splitlines()
    assert "told: cannot write" in told
    assert "free space" in told
    assert sorted(rows.split()) == ["a", "c"]


def test_the_meter_reads_on_and_waits_for_the_end_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meter, "EVERY", 0.0)
    meter, ledger = Meter(StageFolder(tmp_path)), CallLedger(tmp_path, "judge")
    assert meter.dollars() == 0
    for number in range(3):
        with ledger.call("m") as call:
            call.dollars = 0.5
        assert meter.dollars() == pytest.approx(0.5 * (number + 1))
    (path,) = (tmp_path / "calls").iterdir()
    whole = path.read_bytes()
    line = whole.splitlines(keepends=True)[0]
    path.write_bytes(whole + line[:20])
    assert meter.dollars() == pytest.approx(1.5)
    path.write_bytes(whole + line)
    assert meter.dollars() == pytest.approx(2.0)


def test_what_is_paid_twice_is_counted_twice_and_changes_no_row(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    flag.touch()
    numbers, _ = toy.steps(count=60, dear=False)[:2]
    chain = [numbers, Step(toy.Dear(toy.SplitConfig(fail_file=str(flag))), after="numbers")]
    first = toy.run(tmp_path / "runs", chain)["dear"]
    failed = first.manifest.failed["toy"]
    assert first.manifest.cost == pytest.approx(0.001 * first.manifest.rows_in)
    flag.unlink()
    second = toy.run(tmp_path / "runs", chain)["dear"]
    calls = list(read_calls(second.folder))
    assert len(calls) == second.manifest.rows_in + failed
    assert second.manifest.cost == pytest.approx(0.001 * len(calls))
    undisturbed = toy.run(tmp_path / "other", chain)["dear"]
    assert second.manifest.digest == undisturbed.manifest.digest


def test_status_sums_by_stage_and_model(tmp_path: Path) -> None:
    chain = toy.steps(count=50)
    settings = RunSettings(root=tmp_path)
    start_build("toy", settings, settings, chain)
    keys = keys_of(chain)
    for stage, model, dollars in (("split", "a", 1.5), ("split", "b", None), ("dear", "a", 0.25)):
        ledger = CallLedger(tmp_path / f"{stage}-{keys[stage]}", stage)
        for _ in range(1000):
            with ledger.call(model) as call:
                call.prompt_tokens, call.completion_tokens, call.dollars = 100, 10, dollars
    console = Console(file=io.StringIO(), width=200)
    show_status(tmp_path, None, console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    told = {tuple(line[:2]): line for line in lines if line}
    assert told["split", "a"][2:6] == ["1,000", "100,000", "10,000", "1,500.0000"]
    assert told["split", "b"][5:] == ["?", "(1,000", "calls", "without", "a", "known", "price)", "0:00"]
    assert told["all", "3,000"][2:5] == ["300,000", "30,000", "1,750.0000"]


def test_no_books_are_kept_where_no_build_is_served(tmp_path: Path) -> None:
    with CallLedger(None, "chat").call("m") as call:
        call.dollars = 1.0
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("in the way")
    with pytest.raises(SetupError, match="cannot write"), CallLedger(tmp_path, "judge").call("m"):
        pass
