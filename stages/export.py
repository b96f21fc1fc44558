"""Export pairs as a Hugging Face `datasets` folder: zstd parquet by split, a card, and a record of how it was made.

    dataset/
      README.md                          the card (see `contextrl_data.stages.card`)
      provenance.json                    counts, baselines, sources, config and funnel, for programs
      data/train-00000-of-00001.parquet  and so on for every split
      views/NAME/...                     the same pairs in the layouts of trainers, where `views` names any

The folder is written under another name, read back, and renamed: it is whole, or it is not there.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from contextrl_data.pipeline.errors import ConfigError, InputError, StoreError
from contextrl_data.pipeline.hashing import sha256_file
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig, Tell, silent
from contextrl_data.pipeline.store import disk_error
from contextrl_data.stages.card import PROVENANCE, write_card
from contextrl_data.stages.facts import FactCounter
from contextrl_data.stages.rows import EXPORTED, PAIR
from contextrl_data.stages.views import check_views, write_views
from contextrl_data.stages.views.names import ViewName
from contextrl_data.stages.views.task import Tasks

ROW_GROUP = 100
"""Rows per row group: the Hub's viewer reads whole groups, and two contexts a row are heavy."""


class ExportConfig(StageConfig):
    """How the dataset folder is named and cut."""

    title: str = "Contrastive context pairs from coding agents"
    """Heading of the card."""
    rows_per_file: int = Field(default=5000, ge=1)
    """Most rows of one parquet file."""
    benchmarks: list[str] = Field(default=["SWE-bench/SWE-bench", "princeton-nlp/SWE-bench", "SWE-bench_Verified"])
    """A source whose name contains one of these is flagged in the card: do not train on it and then report it."""
    views: list[ViewName] = Field(default=[])
    """Layouts that are written too, under `views/NAME` of the dataset; each holds every context or image once more."""
    view_tasks: Tasks = "choice"
    """What the rows of the views ask: `choice` (which context or image, A or B), `qa` (an image's own question), or
    `both`. Text pairs have `choice` alone."""


class ExportPairs(Gather[ExportConfig]):
    """PAIR -> the dataset folder, and one row per file of it."""

    name = "export"
    schema = EXPORTED
    pairs: ClassVar[pa.Schema] = PAIR
    """Schema of the rows that come in."""
    counter: ClassVar[type[FactCounter]] = FactCounter
    """Counts what the card says of these rows."""

    def pair_schema(self) -> pa.Schema:
        """Schema of the files that are written: that of the rows, with what `datasets` must know beside it."""
        return self.pairs

    def __init__(self, config: ExportConfig) -> None:
        super().__init__(config)
        try:
            check_views(config.views, "image_pos" in self.pairs.names, config.view_tasks)
        except InputError as error:  # now, not when the build ends
            raise ConfigError(f"export.views: {error.problem}", error.remedy) from error

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """One row a file: three splits, and a file for every `rows_per_file` pairs."""
        return Outlook(min(rows, 3 + rows // self.config.rows_per_file))

    def gather(self, rows: Rows) -> Gathered:
        """Write the folder below `files/dataset` of the stage's own folder."""
        target = self.context.folder / "files" / "dataset"
        files, splits = write_dataset(target, rows, self.pair_schema(), self.config, self.counter, self.tell)
        message = f"{sum(splits.values())} pairs: " + ", ".join(f"{name} {count}" for name, count in splits.items())
        return Gathered(rows=files, notes={"message": message, "splits": splits, "folder": "files/dataset"})


def write_dataset(
    target: Path,
    rows: Rows,
    schema: pa.Schema,
    config: ExportConfig | None = None,
    counter: type[FactCounter] = FactCounter,
    tell: Tell = silent,
) -> tuple[list[Row], dict[str, int]]:
    """Write a dataset folder; return its parquet files as rows, and the rows of each split.

    Raises:
        InputError: there is nothing to export, or a row has no split.
        StoreError: what was read back is not what was written.
    """
    config = config or ExportConfig()
    splits = _split_sizes(rows)
    part = target.with_name(target.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "data").mkdir(parents=True)
        facts = counter(config.title, config.benchmarks)
        ids = _write_splits(part, rows, schema, splits, config.rows_per_file, facts, tell)
        files = _read_back(part, ids)
        record = facts.finish(splits, files)
        if config.views:
            record["views"] = write_views(part, config.views, config.view_tasks)
        (part / PROVENANCE).write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
        write_card(part)
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise disk_error(target, error) from error
    return files, splits


def _split_sizes(rows: Rows) -> dict[str, int]:
    counts = Counter(row["split"] for row in rows.select(["split"]))
    if not counts:
        raise InputError("no pair is left to export", "`contextrl-data status` shows where they were dropped, and why")
    if "" in counts or None in counts:
        raise InputError("some pairs have no split", "run the split stage before the export")
    known = [name for name in ("train", "validation", "probe") if name in counts]
    return {name: counts[name] for name in [*known, *sorted(counts.keys() - set(known))]}


def _write_splits(
    part: Path,
    rows: Rows,
    schema: pa.Schema,
    splits: dict[str, int],
    rows_per_file: int,
    facts: FactCounter,
    tell: Tell,
) -> dict[str, list[str]]:
    """One pass per split, one row group at a time; returns the ids written, by file."""
    ids: dict[str, list[str]] = {}
    done = 0
    for split, count in splits.items():
        total = -(-count // rows_per_file)
        stream = (row for row in rows if row["split"] == split)
        for number in range(total):
            name = f"data/{split}-{number:05}-of-{total:05}.parquet"
            with pq.ParquetWriter(part / name, schema, compression="zstd") as writer:
                for group in _batches(islice(stream, rows_per_file)):
                    ids.setdefault(name, []).extend(row["id"] for row in group)
                    table = pa.Table.from_pylist(group, schema=schema)
                    writer.write_table(table, row_group_size=ROW_GROUP)
                    facts.see(split, group, table.nbytes)
                    done += len(group)
                    tell("pairs", done, sum(splits.values()))
    return ids


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, ROW_GROUP)):
        yield batch


def _read_back(part: Path, ids: dict[str, list[str]]) -> list[Row]:
    """The files as rows, after a check that each gives back the ids that went in, each id once in all."""
    files: list[Row] = []
    for name, written in ids.items():
        path = part / name
        if pq.read_table(path, columns=["id"])["id"].to_pylist() != written:
            raise StoreError(f"{name} does not give back the rows that were written")
        facts: dict[str, Any] = {"rows": len(written), "bytes": path.stat().st_size, "sha256": sha256_file(path)}
        files.append({"id": name, "split": name.removeprefix("data/").split("-")[0], **facts})
    every = [row_id for part_ids in ids.values() for row_id in part_ids]
    if len(every) != len(set(every)):
        raise StoreError("two exported pairs have the same id")
    return files
