"""A heavy column that stays in the files that it was read from: the rows are the same, and never silently others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy_pipeline as toy

from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.in_files import FILE, ROW, InFile, Spot, may_stay
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, Sift, Sifted, Source, StageConfig

PART = pa.struct([("name", pa.string()), ("text", pa.string())])
SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64()), ("parts", pa.list_(PART))])
OTHER_ORDER = pa.list_(pa.struct([("text", pa.string()), ("name", pa.string())]))
GROUP = 30


def parts(value: int) -> list[Row]:
    return [{"name": f"p{n}", "text": f"{value}.{n} é"} for n in range(value % 4)]


def write(path: Path, values: range) -> None:
    column = pa.array([parts(value) for value in values], OTHER_ORDER)
    pq.write_table(pa.table({"value": list(values), "talk": column}), path, row_group_size=GROUP)


class Parts(InFile):
    def __init__(self, spot: Spot | None, value: int) -> None:
        self._spot, self.value = spot, value

    @property
    def spot(self) -> Spot | None:
        return self._spot

    def arrow(self) -> pa.Array:
        return pa.array([parts(self.value)], pa.list_(PART))


class ReadConfig(StageConfig):
    files: list[Path]
    """Parquet files."""
    stay: bool = True
    """Leave the parts where they are."""


class Read(Source[ReadConfig]):
    """Multiples of 9 are dropped; those of 5 are written, as is everything without `stay`."""

    name = "read"
    schema = SCHEMA
    in_files = "parts"

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for path in self.config.files:
            for number, value in enumerate(pq.read_table(path)["value"].to_pylist()):
                spot = Spot(path, "talk", number) if self.config.stay and value % 5 else None
                row = {"id": f"n{value}", "value": value, "parts": Parts(spot, value)}
                yield row["id"], Drop("multiple of 9") if value % 9 == 0 else Keep([row])


class Even(Sift[StageConfig]):
    name = "even"
    schema = SCHEMA
    columns: ClassVar[tuple[str, ...]] = ("id", "value")

    def sift(self, rows: Iterator[Row]) -> Sifted:
        return Sifted({row["id"]: "odd" for row in rows if row["value"] % 2})


class Size(Map[StageConfig]):
    name = "size"
    work: ClassVar[Literal["thread", "process"]] = "process"
    schema = SCHEMA.append(pa.field("size", pa.int64()))
    adds = ("value", "size")

    def process(self, row: Row) -> Outcome:
        size = sum(len(part["text"]) for part in row["parts"])
        return Keep([{**row, "value": -1 if size == 0 else row["value"], "size": size}])


def run(root: Path, files: list[Path], stay: bool = True, workers: int = 1) -> dict[str, Finished]:
    source = Read(ReadConfig(files=files, stay=stay))
    steps = [Step(source), Step(Even(StageConfig()), after="read"), Step(Size(StageConfig()), after="even")]
    return Runner(RunSettings(root=root, workers=workers)).run(steps)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    write(paths[0], range(100))
    write(paths[1], range(100, 1250))
    return paths


def test_the_rows_are_those_of_a_source_that_writes_them(tmp_path: Path, files: list[Path]) -> None:
    kept, written = run(tmp_path / "kept", files), run(tmp_path / "written", files, stay=False)
    for name, done in kept.items():
        assert list(done.rows) == list(written[name].rows)
        assert done.rows.columns == written[name].rows.columns
        for columns in (["id"], ["parts"], ["value", "parts"]):
            assert list(done.rows.select(columns)) == list(written[name].rows.select(columns))
        places = [place for place in range(len(done.rows)) if place % 7 in (0, 3)]
        assert list(done.rows.at(places)) == list(written[name].rows.at(places))
    read = kept["read"]
    shard = pq.read_table(read.folder.data(0))
    assert shard.column_names == [*SCHEMA.names, FILE, ROW]
    assert shard["parts"].null_count == sum(value % 5 > 0 and value % 9 > 0 for value in range(1000))
    assert read.manifest.in_files is not None
    assert [file.name for file in read.manifest.in_files.files] == ["read-00000.parquet", "read-00001.parquet"]
    assert written["read"].manifest.in_files is None
    # A worker takes the rows of one row group of a file together.
    small = [value for value in range(100) if value % 9]
    assert set(read.rows.ends()) > {sum(value < border for value in small) for border in (30, 60, 90, 100)}
    assert not kept["size"].rows.in_pieces
    assert written["size"].rows.in_pieces


def test_the_rows_outlive_the_files_that_were_read(tmp_path: Path, files: list[Path]) -> None:
    before = list(run(tmp_path / "runs", files)["size"].rows)
    for path in files:
        shutil.move(path, path.with_name(f"away-{path.name}"))
    done = run(tmp_path / "runs", files)
    assert done["read"].reused
    assert list(done["size"].rows) == before


def test_workers_links_and_copies_change_nothing(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "0", files)
    run(tmp_path / "1", files, workers=2)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # as the kernel says of a file of somebody else

    monkeypatch.setattr(os, "link", refused)
    copied = run(tmp_path / "2", files)
    assert {path.stat().st_nlink for path in (copied["read"].folder.path / "files").iterdir()} == {1}
    assert toy.contents(tmp_path / "0") == toy.contents(tmp_path / "1") == toy.contents(tmp_path / "2")


def test_a_kept_file_that_changed_or_went_is_one_line_with_the_remedy(tmp_path: Path, files: list[Path]) -> None:
    done = run(tmp_path / "runs", files)
    rows = done["size"].rows
    before = list(rows)
    kept = done["read"].folder.path / "files/read-00001.parquet"
    os.utime(kept)  # touched, and the same: read once more, and found to be
    assert list(rows) == before
    with files[1].open("r+b") as handle:  # in place, so that the link sees it
        handle.write(b"PAR0")
    for look in (lambda: list(rows), lambda: run(tmp_path / "runs", files)):
        with pytest.raises(StoreError, match=r"holds other bytes than when read-\w+ was made.*run the build again"):
            look()
    assert [row["id"] for row in rows.select(["id"])] == [row["id"] for row in before]
    kept.unlink()
    with pytest.raises(
        StoreError, match=r"read-00001.parquet is missing: remove the folder read-\w+ and run the build"
    ):
        list(rows)


def test_values_of_large_row_groups_do_not_stay(tmp_path: Path, files: list[Path]) -> None:
    with pq.ParquetFile(files[1]) as file:
        assert may_stay(file, "talk")
        assert may_stay(file, "no such column")
    big = tmp_path / "big.parquet"
    texts = pa.array(["x" * (1 << 20) + str(n) for n in range(130)])
    pq.write_table(pa.table({"talk": texts, "talker": texts.slice(0, 130)}), big, use_dictionary=False)
    with pq.ParquetFile(big) as file:
        assert not may_stay(file, "talk")
