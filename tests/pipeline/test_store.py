"""Shards: half-written files, rows that do not fit, counts that do not add up."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.pipeline.errors import SetupError, StoreError
from contextrl_data.pipeline.manifest import Manifest, Shard
from contextrl_data.pipeline.shards import ShardBuilder
from contextrl_data.pipeline.stage import Drop, Fail, Keep
from contextrl_data.pipeline.store import StageFolder, table_of, write_atomic, write_table
from contextrl_data.pipeline.stored import StoredRows

SCHEMA = pa.schema([("id", pa.string()), ("tags", pa.list_(pa.string()))])

outcomes = st.lists(
    st.one_of(
        st.lists(st.lists(st.text(max_size=3), max_size=2), max_size=3).map(
            lambda tags: Keep([{"id": str(n), "tags": t} for n, t in enumerate(tags)])
        ),
        st.sampled_from([Drop("a"), Drop("b")]),
    ),
    min_size=1,
    max_size=30,
)


@given(outcomes=outcomes, order=st.randoms(use_true_random=False), part_rows=st.integers(1, 31))
def test_parts_in_any_order_leave_no_trace_in_the_bytes(tmp_path_factory, outcomes, order, part_rows: int) -> None:  # type: ignore[no-untyped-def]
    ids = [f"r{n}" for n in range(len(outcomes))]
    found = []
    for rows_per_part in (1000, part_rows):
        folder = StageFolder(tmp_path_factory.mktemp("shard"))
        folder.create()
        places = list(range(len(ids)))
        order.shuffle(places)
        builder = ShardBuilder(folder, 0, ids, SCHEMA, rows_per_part)
        for place in places[: len(places) // 2]:
            builder.put(place, outcomes[place])
        builder = ShardBuilder(folder, 0, ids, SCHEMA, rows_per_part)  # as after a kill
        for place in builder.missing():
            builder.put(place, outcomes[place])
        assert builder.complete()
        builder.write()
        assert not list(folder.parts.iterdir())
        found.append((folder.data(0).read_bytes(), folder.ledger(0).read_bytes()))
    assert found[0] == found[1]


def test_failures_are_never_saved_in_a_part(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.create()
    builder = ShardBuilder(folder, 0, ["a", "b"], SCHEMA, 1)
    builder.put(0, Fail("docker", "gone"))
    builder.put(1, Drop("x"))
    assert ShardBuilder(folder, 0, ["a", "b"], SCHEMA, 1).missing() == [0]


def test_a_row_outside_its_schema_is_a_named_error() -> None:
    with pytest.raises(StoreError, match="stage-x: row 'a' has columns outside its schema"):
        table_of([{"id": "a", "tags": [], "extra": 1}], SCHEMA, "stage-x")
    with pytest.raises(StoreError, match="does not fit"):
        table_of([{"id": "a", "tags": 5}], SCHEMA, "stage-x")
    with pytest.raises(StoreError, match="does not fit"):
        table_of([{"id": "\ud800", "tags": []}], SCHEMA, "stage-x")


def test_counts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    shard = Shard(data="d", ledger="l", rows_in=3, rows_out=2, sha256="", ledger_sha256="")
    manifest = Manifest(
        stage="s", version=1, key="k", config={}, inputs={}, rows_in=3, kept=1, dropped={"x": 1}, failed={}, rows_out=2,
        shards=[shard], digest="",
    )  # fmt: skip
    with pytest.raises(StoreError, match="do not add up: 3 in, 2 kept"):
        StageFolder(tmp_path).finish(manifest)


def test_a_full_disk_is_one_line_with_the_remedy_and_leaves_nothing(tmp_path: Path) -> None:
    """A file system of 64 kB stands for a disk that fills up."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(SetupError, match=r"No space left on device.*run\.root"):
            write_atomic(disk / "file", b"x" * 1_000_000)
        table = table_of([{"id": random.Random(n).randbytes(40).hex(), "tags": []} for n in range(9000)], SCHEMA, "s")
        with pytest.raises(SetupError, match=r"No space left on device.*run\.root"):
            write_table(disk / "data.parquet", table)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_rows_stream_again_and_again_and_by_column(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.create()
    builder = ShardBuilder(folder, 0, ["a"], SCHEMA, 1000)
    builder.put(0, Keep([{"id": str(n), "tags": ["t"] * n} for n in range(200)]))
    builder.write()
    shard = Shard(data="data-00000.parquet", ledger="l", rows_in=1, rows_out=200, sha256="", ledger_sha256="")
    manifest = Manifest(
        stage="s", version=1, key="k", config={}, inputs={}, rows_in=1, kept=1, dropped={}, failed={}, rows_out=200,
        shards=[shard], digest="",
    )  # fmt: skip
    rows = StoredRows(tmp_path, manifest)
    assert len(rows) == len(list(rows)) == len(list(rows)) == 200
    assert next(rows.select(["id"])) == {"id": "0"}
    assert [value for batch in rows.batches(["id"]) for value in batch["id"].to_pylist()] == [row["id"] for row in rows]
