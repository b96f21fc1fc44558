"""Stages that write no row again: what they add or choose is put together with the rows below when it is read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy_pipeline as toy

from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, Sift, Sifted, StageConfig
from contextrl_data.pipeline.store import PLACE
from contextrl_data.pipeline.stored import picked


class OddConfig(StageConfig):
    twice: bool = False
    """Name a row that is not there."""


class Odd(Sift[OddConfig]):
    """Lets odd numbers through."""

    name = "odd"
    schema = toy.SCHEMA
    columns: ClassVar[tuple[str, ...]] = ("id", "value")

    def sift(self, rows: Iterator[Row]) -> Sifted:
        dropped = {row["id"]: "even" for row in rows if row["value"] % 2 == 0}
        return Sifted(dropped | ({"nobody": "even"} if self.config.twice else {}), [("odd", 1)])


class LabelConfig(StageConfig):
    other: bool = False
    """Come out under another id."""


class Label(Map[LabelConfig]):
    """Changes `text` and adds `square`; multiples of 5 are dropped."""

    name = "label"
    work: ClassVar[Literal["thread", "process"]] = "process"
    schema = toy.SCHEMA.append(pa.field("square", pa.int64()))
    adds = ("text", "square")

    def process(self, row: Row) -> Outcome:
        if row["value"] % 5 == 0:
            return Drop("multiple of 5")
        if self.config.other:
            return Keep([{**row, "id": "x"}])
        return Keep([{**row, "text": f"{row['text']}!", "square": row["value"] ** 2}])


def chain(count: int, **label: bool) -> list[Step]:
    return [
        Step(toy.Numbers(toy.NumbersConfig(count=count))),
        Step(Odd(OddConfig()), after="numbers"),
        Step(Label(LabelConfig.model_validate(label)), after="odd"),
        Step(Last(LabelConfig()), after="label"),
    ]


class Last(Label):
    """Adds to what was added."""

    name = "last"
    adds = ("square",)

    def process(self, row: Row) -> Outcome:
        return Keep([{**row, "square": -row["square"]}])


def wanted(count: int) -> list[Row]:
    return [
        {"id": f"n{value}", "value": value, "text": "x" * (value % 50) + "!", "square": -(value**2)}
        for value in range(count)
        if value % 100 and value % 2 and value % 5
    ]


def run(root: Path, steps: list[Step], workers: int = 1, shard_rows: int = 1000) -> dict[str, Finished]:
    return Runner(RunSettings(root=root, workers=workers, shard_rows=shard_rows, retries=0)).run(steps)


@pytest.mark.parametrize("count", [3, 2300])
def test_added_columns_and_chosen_rows_are_read_with_the_rows_below(tmp_path: Path, count: int) -> None:
    finished = run(tmp_path, chain(count))
    rows = finished["last"].rows
    assert list(rows) == wanted(count)
    assert next(list(row) for row in rows) == ["id", "value", "text", "square"]
    assert len(rows) == finished["last"].manifest.rows_out == len(wanted(count))
    for columns in (["id"], ["value"], ["square", "id"], ["text", "value"]):
        assert list(rows.select(columns)) == [
            {name: row[name] for name in row if name in columns} for row in wanted(count)
        ]
    places = [place for place in range(len(rows)) if place % 7 in (0, 3)]
    assert list(rows.at(places)) == [wanted(count)[place] for place in places]
    ids = {row["id"] for row in wanted(count)[5:9]} | {"nobody"}
    assert [row["id"] for row in picked(rows, ids)] == [row["id"] for row in wanted(count)[5:9]]
    assert rows.ends()[-1] == len(rows)
    for name, columns in {"odd": [], "label": ["text", "square"], "last": ["square"]}.items():
        assert pq.read_schema(finished[name].folder.data(0)).names == ["id", *columns, PLACE]
        manifest = finished[name].manifest
        assert manifest.kept + sum(manifest.dropped.values()) == manifest.rows_in


def test_workers_parts_and_a_lost_shard_change_nothing(tmp_path: Path) -> None:
    run(tmp_path / "0", chain(1300))
    found = toy.contents(tmp_path / "0")
    for number, (workers, parts) in enumerate([(2, 1000), (1, 64)], 1):
        root = tmp_path / str(number)
        finished = run(root, chain(1300), workers, parts)
        # As after a kill: no manifest, one shard missing.
        folder = finished["label"].folder
        (folder.path / "manifest.json").unlink()
        folder.ledger(0).unlink()
        folder.data(0).unlink()
        run(root, chain(1300), workers, parts)
        assert toy.contents(root) == found


def test_rows_below_that_are_gone_or_others_are_a_named_error(tmp_path: Path) -> None:
    finished = run(tmp_path, chain(300))
    done = finished["last"]
    below = finished["odd"].folder
    kept = below.path.with_name("kept")
    shutil.move(below.path, kept)
    with pytest.raises(StoreError, match=r"odd-\w+ is missing, and label-\w+ builds upon it"):
        len(done.rows)
    shutil.move(kept, below.path)
    manifest = below.manifest()
    assert manifest is not None
    (below.path / "manifest.json").write_text(manifest.model_copy(update={"digest": "other"}).model_dump_json())
    with pytest.raises(StoreError, match="holds other rows by now"):
        len(done.rows)


def test_a_stage_that_adds_columns_must_keep_the_row(tmp_path: Path) -> None:
    label = run(tmp_path, chain(50, other=True)[:3])["label"].manifest
    assert label.failed == {"internal": label.rows_in - label.dropped["multiple of 5"]}


def test_a_sift_may_only_drop_what_is_there(tmp_path: Path) -> None:
    steps = [chain(50)[0], Step(Odd(OddConfig(twice=True)), after="numbers")]
    with pytest.raises(StoreError, match="not among its inputs"):
        run(tmp_path, steps)


def test_heavy_rows_lie_in_small_groups_and_are_read_by_place(tmp_path: Path) -> None:
    class Heavy(toy.Numbers):
        def items(self) -> Iterator[tuple[str, Outcome]]:
            for value in range(self.config.count):
                yield f"n{value}", Keep([{"id": f"n{value}", "value": value, "text": str(value) * 130_000}])

    steps = [Step(Heavy(toy.NumbersConfig(count=90))), *chain(90)[1:2]]
    finished = run(tmp_path, steps)
    assert finished["numbers"].rows.ends() == [16, 32, 48, 64, 80, 90]
    odd = finished["odd"].rows
    assert odd.ends() == [8, 16, 24, 32, 40, 45]
    assert [row["value"] for row in odd.at([0, 9, 44])] == [1, 19, 89]
    assert next(odd.tables(["text"], np.array([44])))["text"][0].as_py() == "89" * 130_000
