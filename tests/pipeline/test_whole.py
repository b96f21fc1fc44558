"""Sources: shards are written while the next is read, and what is read decides the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Drop, Keep, Outcome, Source, StageConfig
from contextrl_data.pipeline.store import SHARD_ROWS


class NumbersConfig(StageConfig):
    rows: int
    """How many."""
    odd: int = -1
    """The row that does not fit the schema."""


class Numbers(Source[NumbersConfig]):
    name = "numbers"
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    read = 0

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number in range(self.config.rows):
            self.read += 1
            text: Any = 7 if number == self.config.odd else f"row {number}"
            kept = Keep([{"id": str(number), "text": text}])
            yield str(number), Drop("every seventh") if number % 7 == 6 else kept


def build(root: Path, stage: Numbers) -> Finished:
    return Runner(RunSettings(root=root, workers=1)).run([Step(stage)])["numbers"]


@pytest.mark.parametrize("rows", [0, 1, SHARD_ROWS, SHARD_ROWS + 1, 3 * SHARD_ROWS + 5])
def test_every_row_lies_in_its_place_and_the_bytes_are_the_same_again(tmp_path: Path, rows: int) -> None:
    one, other = (build(tmp_path / name, Numbers(NumbersConfig(rows=rows))) for name in ("one", "other"))
    assert [row["id"] for row in one.rows] == [str(number) for number in range(rows) if number % 7 != 6]
    assert [shard.rows_in for shard in one.manifest.shards[:-1]] == [SHARD_ROWS] * (max(rows - 1, 0) // SHARD_ROWS)
    assert one.manifest.rows_in == rows
    assert one.manifest.digest == other.manifest.digest


def test_a_shard_that_cannot_be_written_ends_the_reading(tmp_path: Path) -> None:
    stage = Numbers(NumbersConfig(rows=20 * SHARD_ROWS, odd=SHARD_ROWS + 1))
    with pytest.raises(StoreError, match="does not fit the schema"):
        build(tmp_path, stage)
    assert stage.read <= 3 * SHARD_ROWS
    assert not list(tmp_path.glob("*/manifest.json"))


def test_a_fault_of_the_last_shard_is_seen(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not fit the schema"):
        build(tmp_path, Numbers(NumbersConfig(rows=SHARD_ROWS + 2, odd=SHARD_ROWS + 1)))
