"""Work on chosen rows by several processes: what comes back is what one process makes, in the same order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import toy_pipeline as toy

from contextrl_data.pipeline.errors import ContextRLError
from contextrl_data.pipeline.executors import spread as spreading
from contextrl_data.pipeline.executors.spread import spread
from contextrl_data.pipeline.plan import Step
from contextrl_data.pipeline.stage import Row
from contextrl_data.pipeline.stored import StoredRows


def times(row: Row, factor: int) -> tuple[int, int]:
    if factor < 0:
        os._exit(1)
    return row["value"] * factor, os.getpid()


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredRows:
    monkeypatch.setattr(spreading, "ENOUGH", 200)
    found: StoredRows = toy.run(tmp_path, [Step(toy.Numbers(toy.NumbersConfig(count=1300)))])["numbers"].rows
    return found


def test_processes_change_nothing(rows: StoredRows) -> None:
    wanted = {f"n{value}": value % 5 for value in range(0, 1300, 3)} | {"nobody": 1}
    alone, shared = ([*spread(times, rows, wanted, workers)] for workers in (1, 2))
    assert [(one, made[0]) for one, made in shared] == [(one, made[0]) for one, made in alone]
    assert [one for one, _ in shared] == [row["id"] for row in rows if row["id"] in wanted]
    assert {made[1] for _, made in alone} == {os.getpid()}
    assert os.getpid() not in {made[1] for _, made in shared}
    few = dict(list(wanted.items())[:199])
    assert {made[1] for _, made in spread(times, rows, few, 2)} == {os.getpid()}


def test_a_worker_that_dies_is_one_line(rows: StoredRows) -> None:
    with pytest.raises(ContextRLError, match=r"a worker died \(killed, or out of memory\): run again"):
        list(spread(times, rows, {f"n{value}": -1 for value in range(500)}, 2))
