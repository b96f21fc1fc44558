"""Write a view: one pass over each split, a row group at a time; read back; put in place whole, or not at all.

FOLDER/
  view.json                 which view it is, its tasks, and its files with rows, bytes and sha256
  train.parquet             and so on for every split (where the files lie is the view's own)
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError, SetupError, StoreError
from contextrl_data.pipeline.hashing import sha256_file
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.source import PairFiles
from contextrl_data.stages.views.task import Task, Tasks, tasks_of
from contextrl_data.stages.views.view import View

RECORD = "view.json"
ROW_GROUP = 100


def write_view(pairs: PairFiles, view: View, target: Path, wanted: Tasks = "choice") -> Row:
    """Write one view of a dataset into `target`, in place of what was there; return its record.

    Raises:
        InputError: the dataset does not fit the view or the tasks, or holds no rows.
    """
    check_fit(view, pairs.images, wanted)

    def fill(folder: Path) -> Row:
        folder.mkdir()
        files = [_write_split(folder, pairs, view, split, wanted) for split in pairs.splits]
        kind = "image" if pairs.images else "text"
        record: Row = {"view": view.name, "pairs": kind, "tasks": wanted, "files": files}
        (folder / RECORD).write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
        return record

    return put_in_place(target, fill)


def put_in_place(target: Path, fill: Callable[[Path], Row]) -> Row:
    """Let `fill` make a folder beside `target`, then put it there; what was there before goes, and only then.

    Raises:
        SetupError: the disk is full or must not be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as beside:
            part = Path(beside) / target.name
            record = fill(part)
            if target.exists():
                shutil.rmtree(target)
            part.replace(target)
    except OSError as error:
        raise SetupError(
            f"cannot write {target}: {error.strerror or error}", "free space or permissions there, or write elsewhere"
        ) from error
    return record


def check_fit(view: View, images: bool, wanted: Tasks) -> None:
    """Refuse a view or tasks that this kind of pairs cannot give.

    Raises:
        InputError: with the remedy.
    """
    if images and view.image is None:
        raise InputError(f"{view.about} reads no images, and the dataset is of image pairs", "take another view")
    if not images and wanted != "choice":
        raise InputError(
            f"there are no {wanted} tasks in text pairs: their questions have no answer that can be checked by reading",
            "leave the tasks at `choice`",
        )


def stream(pairs: PairFiles, split: str, wanted: Tasks) -> Iterator[Task]:
    """The tasks of one split, numbered. A question that stands in several pairs of an image is asked once."""
    asked: set[tuple[str, str]] = set()
    number = 0
    for row in pairs.rows(split):
        for task in tasks_of(row, split, wanted):
            if task.kind == "qa":
                key = (row.get("image_id_pos") or row["id"], task.text)
                if key in asked:
                    continue
                asked.add(key)
            yield replace(task, index=number)
            number += 1


def _write_split(part: Path, pairs: PairFiles, view: View, split: str, wanted: Tasks) -> Row:
    columns = view.columns(pairs.images)
    name = view.file(split, pairs.images)
    path = part / name
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [column for column, _ in columns]
    rows = ({key: row[key] for key in names} for row in map(view.row, stream(pairs, split, wanted)))
    write = _write_lines if path.suffix == ".jsonl" else _write_parquet
    count = write(path, rows, _schema(view, pairs.images))
    if not count:
        raise InputError(f"split {split!r} of {pairs.folder} is empty", "build it again with fewer splits")
    if _rows_in(path) != count:
        raise StoreError(f"{name} does not hold the {count} rows that were written")
    return {"id": name, "split": split, "rows": count, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _write_parquet(path: Path, rows: Iterable[Row], schema: pa.Schema) -> int:
    count, source = 0, iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(source, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=ROW_GROUP)
            count += len(group)
    return count


def _write_lines(path: Path, rows: Iterable[Row], schema: pa.Schema) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _rows_in(path: Path) -> int:
    if path.suffix == ".jsonl":
        with path.open("rb") as lines:
            return sum(1 for _ in lines)
    rows: int = pq.read_metadata(path).num_rows
    return rows


def _schema(view: View, images: bool) -> pa.Schema:
    schema = pa.schema(view.columns(images))
    if not (images and view.decode):
        return schema
    from datasets import Features, Image, List

    features: Any = Features.from_arrow_schema(schema)
    features["images"] = List(Image())
    return features.arrow_schema
