"""The engine's guarantees."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import toy_pipeline as toy

from contextrl_data.pipeline.errors import InputError, RunError, StoreError
from contextrl_data.pipeline.plan import RunSettings, Step, keys_of
from contextrl_data.pipeline.runner import Finished, Runner, locked

KILLS = 24


def check_accounts(finished: dict[str, Finished]) -> None:
    """kept + dropped + failed = in, from the ledgers themselves, and each stage reads all that the last one wrote."""
    for done in finished.values():
        rows = [
            row for shard in done.manifest.shards for row in pq.read_table(done.folder.path / shard.ledger).to_pylist()
        ]
        by_status = {status: sum(row["status"] == status for row in rows) for status in ("kept", "dropped", "failed")}
        assert by_status["kept"] == done.manifest.kept
        assert by_status["dropped"] == sum(done.manifest.dropped.values())
        assert by_status["failed"] == sum(done.manifest.failed.values())
        assert len(rows) == len({row["id"] for row in rows}) == done.manifest.rows_in
        assert len(list(done.rows)) == len(done.rows) == done.manifest.rows_out


def test_every_row_is_accounted_for_at_every_stage(tmp_path: Path) -> None:
    finished = toy.run(tmp_path, toy.steps())
    check_accounts(finished)
    assert finished["numbers"].manifest.dropped == {"multiple of 100": 25}
    assert finished["split"].manifest.rows_in == finished["numbers"].manifest.rows_out == 2475
    assert finished["dear"].manifest.rows_in == finished["split"].manifest.rows_out
    assert finished["largest"].manifest.rows_out == 1200
    assert finished["largest"].manifest.funnel[1] == ("chosen", 1200)
    assert finished["dear"].manifest.cost == pytest.approx(0.001 * finished["dear"].manifest.kept)


def test_failures_are_counted_then_tried_again_without_redoing_the_rest(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    flag.touch()
    chain = toy.steps(count=300, fail_file=str(flag), dear=False)
    first = toy.run(tmp_path / "runs", chain)
    check_accounts(first)
    assert first["split"].manifest.failed == {"toy": 30}
    flag.unlink()
    second = toy.run(tmp_path / "runs", chain)
    check_accounts(second)
    assert second["numbers"].reused
    assert not second["split"].manifest.failed
    assert second["split"].manifest.rows_out > first["split"].manifest.rows_out
    assert second["largest"].manifest.rows_in == second["split"].manifest.rows_out, "what follows sees the new rows"


def test_a_stage_that_leaves_nothing_ends_the_build_with_its_reasons(tmp_path: Path) -> None:
    steps = toy.steps(count=1)  # 0 is a multiple of 100
    for _ in range(2):  # also where it is found finished
        with pytest.raises(InputError, match=r"nothing is left after numbers \(1 rows in: dropped 1 multiple of 100\)"):
            toy.run(tmp_path, steps)
    assert not list(tmp_path.glob("split-*"))


def test_a_dear_row_is_never_done_twice(tmp_path: Path) -> None:
    first = toy.run(tmp_path, toy.steps(count=300))
    worked = first["dear"].folder.path / "worked.log"
    assert len(worked.read_text().split()) == first["dear"].manifest.kept
    first["dear"].folder.clear()
    again = toy.run(tmp_path, toy.steps(count=300))
    assert len(worked.read_text().split()) == first["dear"].manifest.kept
    assert again["dear"].manifest.digest == first["dear"].manifest.digest
    assert again["dear"].manifest.cost == first["dear"].manifest.cost, "what was spent stays on the books"


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        ({}, []),
        ({"largest": 20}, ["largest"]),
        ({"factor": 5}, ["split", "dear", "largest"]),
        ({"count": 59}, ["numbers", "split", "dear", "largest"]),
    ],
)
def test_a_changed_setting_reruns_that_stage_and_what_follows(
    tmp_path: Path, change: dict[str, int], rerun: list[str]
) -> None:
    settings = {"count": 60, "largest": 30}
    toy.run(tmp_path, toy.steps(**settings))
    again = toy.run(tmp_path, toy.steps(**settings | change))
    assert [name for name, done in again.items() if not done.reused] == rerun


def test_a_new_version_of_a_stage_reruns_it_and_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys_of(toy.steps())
    monkeypatch.setattr(toy.Split, "version", 2)
    after = keys_of(toy.steps())
    assert [name for name in before if before[name] != after[name]] == ["split", "dear", "largest"]


def test_a_finished_stage_restores_its_surroundings_only_when_work_follows(tmp_path: Path) -> None:
    first = toy.run(tmp_path, toy.steps(count=50))
    toy.Numbers.restored = 0
    toy.run(tmp_path, toy.steps(count=50))
    assert toy.Numbers.restored == 0
    toy.run(tmp_path, toy.steps(count=50, factor=9))
    assert toy.Numbers.restored == first["numbers"].manifest.rows_out


def test_a_side_input_is_part_of_the_key_and_readable_under_its_alias(tmp_path: Path) -> None:
    class Beside(toy.Split):
        name = "beside"
        work = "thread"

        def open(self, context):  # type: ignore[no-untyped-def]
            super().open(context)
            self.known = len(context.sides["all of them"])

        def process(self, row):  # type: ignore[no-untyped-def]
            return toy.Keep([{"id": row["id"], "value": self.known, "text": ""}])

    def chain(count: int) -> list[Step]:
        first, split, *_ = toy.steps(count=count)
        step = Step(Beside(toy.SplitConfig()), after="split", beside={"all of them": "numbers"})
        return [first, split, step]

    finished = toy.run(tmp_path, chain(50))
    assert {row["value"] for row in finished["beside"].rows} == {49}
    assert keys_of(chain(50))["beside"] != keys_of(chain(51))["beside"]
    assert set(finished["beside"].manifest.inputs) == {"split", "numbers"}


def test_workers_and_shard_size_change_nothing(tmp_path: Path) -> None:
    wanted: dict[str, bytes] = {}
    for workers, shard_rows in ((1, 1000), (2, 1000), (3, 7), (1, 64), (2, 5000)):
        root = tmp_path / f"{workers}-{shard_rows}"
        toy.run(root, toy.steps(count=1100, largest=600), workers=workers, shard_rows=shard_rows)
        found = toy.contents(root)
        wanted = wanted or found
        assert found == wanted, (workers, shard_rows)
    second_shards = {name.split("-")[0] for name in wanted if name.endswith("data-00001.parquet")}
    assert {"numbers", "split", "dear"} <= second_shards


def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(tmp_path: Path) -> None:
    wanted_root, root = tmp_path / "wanted", tmp_path / "killed"
    toy.run(wanted_root, toy.steps(count=400, pause=0.004, largest=200))
    wanted = toy.contents(wanted_root)
    draw = random.Random(20260617)
    kills = 0
    for attempt in range(200):
        if kills >= KILLS and attempt:
            break
        script = [sys.executable, toy.__file__, str(root), "2", str(draw.choice([1, 7, 50, 1000])), "0.004"]
        child = subprocess.Popen(script, stdout=subprocess.PIPE, start_new_session=True)
        try:
            child.wait(timeout=draw.uniform(0.4, 2.2))
            if kills < KILLS:  # finished before the blow: begin again from nothing
                assert toy.contents(root) == wanted
                subprocess.run(["rm", "-rf", str(root)], check=True)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            kills += 1
        finally:
            assert child.stdout is not None
            child.stdout.close()
    final = subprocess.run(
        [sys.executable, toy.__file__, str(root), "2", "13", "0.004"], capture_output=True, check=True
    )
    assert b"finished" in final.stdout
    assert kills >= 20
    assert toy.contents(root) == wanted


def test_workers_end_with_a_main_process_that_is_killed_alone(tmp_path: Path) -> None:
    script = [sys.executable, toy.__file__, str(tmp_path), "2", "7", "0.01"]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as child:
        while not list(tmp_path.glob("split-*/parts/*.parquet")):
            assert child.poll() is None
            time.sleep(0.02)
        child.kill()
        child.communicate(timeout=120)  # to the end of the pipe, which every process of the run holds open


def test_a_missing_or_damaged_shard_is_noticed(tmp_path: Path) -> None:
    finished = toy.run(tmp_path, toy.steps(count=300))
    shard = finished["split"].folder.data(0)
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-10])
    with pytest.raises(StoreError, match="does not hold the bytes"):
        toy.run(tmp_path, toy.steps(count=300))
    shard.unlink()
    with pytest.raises(StoreError, match="is missing"):
        toy.run(tmp_path, toy.steps(count=300))


def test_two_builds_cannot_share_a_folder(tmp_path: Path) -> None:
    finished = toy.run(tmp_path, toy.steps(count=100))
    with locked(finished["split"].folder.path), pytest.raises(RunError, match="in use by another build"):
        toy.run(tmp_path, toy.steps(count=100))


def test_repeated_ids_are_a_user_error(tmp_path: Path) -> None:
    class Twice(toy.Numbers):
        def items(self):  # type: ignore[no-untyped-def]
            yield from super().items()
            yield from super().items()

    chain = [Step(Twice(toy.NumbersConfig(count=5))), Step(toy.Split(toy.SplitConfig()), after="numbers")]
    with pytest.raises(InputError, match="'n1'"):
        toy.run(tmp_path, chain, workers=1)


def test_a_defect_in_a_stage_is_charged_to_the_row_and_seen(tmp_path: Path) -> None:
    class Broken(toy.Split):
        def process(self, row):  # type: ignore[no-untyped-def]
            if row["value"] == 3:
                return None
            assert 1 // (row["value"] % 5) >= 0
            return super().process(row)

    chain = [Step(toy.Numbers(toy.NumbersConfig(count=50))), Step(Broken(toy.SplitConfig()), after="numbers")]
    finished = Runner(RunSettings(root=tmp_path, workers=1)).run(chain)
    assert finished["split"].manifest.failed["internal"] >= 9
    ledger = pq.read_table(finished["split"].folder.ledger(0)).to_pylist()
    assert any("ZeroDivisionError" in row["message"] for row in ledger)
    assert any("is no outcome" in row["message"] for row in ledger)


def test_a_row_that_fails_is_retried_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contextrl_data.pipeline.executors.PAUSE", 0.2)
    flag = tmp_path / "broken"
    flag.touch()
    chain = toy.steps(count=9, fail_file=str(flag), dear=False)
    started = time.monotonic()

    class Mending(toy.Split):
        def process(self, row):  # type: ignore[no-untyped-def]
            if time.monotonic() - started > 0.3:
                flag.unlink(missing_ok=True)
            return super().process(row)

    chain[1] = Step(Mending(chain[1].stage.config), after="numbers")
    finished = Runner(RunSettings(root=tmp_path / "runs", workers=1, retries=3)).run(chain)
    assert not finished["split"].manifest.failed
