"""Running the stages that are not row by row: sources, and gathers that see all rows at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from contextrl_data.pipeline.counters import StageProgress
from contextrl_data.pipeline.errors import StoreError
from contextrl_data.pipeline.in_files import FileKeeper
from contextrl_data.pipeline.manifest import InFiles
from contextrl_data.pipeline.shards import ShardBuilder, stored_schema
from contextrl_data.pipeline.stage import Context, Drop, Gather, Gathered, Keep, Outcome, Sift, Source
from contextrl_data.pipeline.store import LEDGER, SHARD_ROWS, StageFolder, ledger_row, table_of, write_table
from contextrl_data.pipeline.stored import StoredRows

WRITTEN = "rows written"
"""The step of a stage that has said all it has to say."""


@dataclass
class Told:
    """What the manifest says of a stage beside its counts."""

    funnel: list[tuple[str, int]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    in_files: InFiles | None = None


def run_source(stage: Source[Any], context: Context, folder: StageFolder, shown: StageProgress) -> Told:
    """Write everything that the source finds; a shard is written while the next one is read."""
    stage.open(context)
    keeper = FileKeeper(folder, stage.in_files)
    try:
        with ThreadPoolExecutor(1) as writer:
            items = ((row_id, keeper.away(outcome)) for row_id, outcome in stage.items())
            pending: Future[None] | None = None
            for index in count():
                window = list(islice(items, SHARD_ROWS))
                if not window and index:
                    break
                ids = [row_id for row_id, _ in window]
                builder = ShardBuilder(folder, index, ids, stored_schema(stage), SHARD_ROWS)
                for place, (_, outcome) in enumerate(window):
                    builder.put(place, outcome)
                    shown.count(outcome)
                if pending is not None:
                    pending.result()  # never more than two shards in memory; a failed write ends the reading
                pending = writer.submit(builder.write)
            if pending is not None:
                pending.result()
    finally:
        stage.close()
    return Told(in_files=keeper.described())


def run_sift(stage: Sift[Any], context: Context, folder: StageFolder, main: StoredRows, shown: StageProgress) -> Told:
    """Show the stage its columns of all rows; write which of them go on."""
    stage.open(context)
    try:
        result = stage.sift(main.select(list(stage.columns)))
    finally:
        stage.close()
    ids = (row["id"] for row in main.select(["id"]))
    known = 0
    for index in range(max(-(-len(main) // SHARD_ROWS), 1)):
        window = list(islice(ids, SHARD_ROWS))
        builder = ShardBuilder(folder, index, window, stored_schema(stage), SHARD_ROWS)
        for place, row_id in enumerate(window):
            reason = result.dropped.get(row_id)
            outcome = Keep([{"id": row_id}]) if reason is None else Drop(reason)
            builder.put(place, outcome)
            shown.count(outcome)
            known += reason is not None
        builder.write()
    if known != len(result.dropped):
        raise StoreError(f"{stage.name}: names rows as dropped that were not among its inputs")
    return Told(result.funnel, result.notes)


def run_gather(
    stage: Gather[Any], context: Context, folder: StageFolder, main: StoredRows, shown: StageProgress
) -> Told:
    """Show the stage all rows; write what comes out, and a ledger of what went in."""
    stage.open(context)
    try:
        result = stage.gather(main)
        rows = iter(result.rows)
        data = written = 0
        while window := list(islice(rows, SHARD_ROWS)):
            write_table(folder.data(data), table_of(window, stage.schema, stage.name))
            data += 1
            written += len(window)
            if shown.step is None or shown.step.what == WRITTEN or shown.step.done == shown.step.total:
                context.tell(WRITTEN, written)
    finally:
        stage.close()
    _write_ledgers(stage, folder, main, result, data, shown)
    return Told(result.funnel, result.notes)


def _write_ledgers(
    stage: Gather[Any], folder: StageFolder, main: StoredRows, result: Gathered, data: int, shown: StageProgress
) -> None:
    """Input and output rows of a gather need not line up: pad the shorter side with empty shards."""
    ids = (row["id"] for row in main.select(["id"]))
    known = 0
    for index in range(max(data, -(-len(main) // SHARD_ROWS), 1)):
        outcomes = [(row_id, _fate(row_id, result)) for row_id in islice(ids, SHARD_ROWS)]
        if index >= data:
            write_table(folder.data(index), table_of([], stage.schema, stage.name))
        write_table(folder.ledger(index), table_of([ledger_row(*pair) for pair in outcomes], LEDGER, stage.name))
        for _, outcome in outcomes:
            shown.count(outcome)
            known += not isinstance(outcome, Keep)
    if known != len(result.dropped.keys() | result.failed.keys()):
        raise StoreError(f"{stage.name}: names rows as dropped or failed that were not among its inputs")


def _fate(row_id: str, result: Gathered) -> Outcome:
    if row_id in result.failed:
        return result.failed[row_id]
    return Drop(result.dropped[row_id]) if row_id in result.dropped else Keep([])
