"""Raw rows from local files, streamed: JSON lines (plain or zstd), JSON, parquet, one trajectory a file.

A damaged row is an outcome, and so is the end of a file that was cut short; only a file of another kind is an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.in_files import Spot, may_stay
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.batches import batch_rows
from contextrl_data.stages.coding.readers.decode import loads
from contextrl_data.stages.coding.readers.found import Unusable
from contextrl_data.stages.coding.readers.in_arrow import rows_in_arrow
from contextrl_data.stages.coding.readers.zstd_frames import is_whole
from contextrl_data.stages.lines import split_lines

BATCH = 128
"""Parquet rows decoded at a time: trajectories are long."""
AHEAD = 2
"""Such batches that are decoded before they are asked for."""
ROWS = (".parquet", ".jsonl", ".jsonl.zst", ".ndjson", ".json")
RUNS = (".traj", ".traj.json", ".traj.zst", ".traj.json.zst")
SKIPPABLE_HEADER = b"\x2a\x4d\x18"
LARGEST_WINDOW = 128 << 20
CUT = Unusable("file is cut short")
DAMAGED = Unusable("file is damaged")

Some = TypeVar("Some")
Raw = tuple[str, Row | Unusable]
"""The place of a row, and the row or what is wrong with it."""


def trajectory_files(path: Path) -> list[Path]:
    """The file itself, or everything readable below a folder, in a fixed order.

    Raises:
        InputError: no such path, or nothing there that a reader knows.
    """
    if path.is_file():
        if not path.name.endswith((*ROWS, *RUNS)):
            raise InputError(f"{path} is no kind of trajectory file", f"known: {', '.join((*ROWS, *RUNS))}")
        return [path]
    # A folder of runs holds other JSON too (predictions, settings), so plain `.json` must be named itself.
    wanted = (*(ending for ending in ROWS if ending != ".json"), *RUNS)
    found = sorted(one for one in path.rglob("*") if one.name.endswith(wanted) and one.is_file())
    if not found:
        raise InputError(f"{path} holds no trajectory file", f"known: {', '.join(wanted)}")
    return found


def raw_rows(
    path: Path, name: str, alone: bool, max_bytes: int, messages: str = "messages", stay: bool = False
) -> Iterator[Raw]:
    """Every row of one file. `name` is its name in places; `alone`: the user named this very file.

    Where column `messages` of a parquet file is in the normal form already, it stays in Arrow, and with `stay` may be
    read from this file later too.
    """
    if path.name.endswith(".parquet"):
        yield from _parquet(path, name, messages, stay)
    elif path.name.endswith(RUNS) or path.suffix == ".json":
        yield from _document(path, name, alone, max_bytes)
    else:
        yield from _lines(path, name, max_bytes)


def stem(path: Path) -> str:
    """File name without its endings: single-run files are named after their instance."""
    ending = max((one for one in (*RUNS, *ROWS) if path.name.endswith(one)), key=len, default=path.suffix)
    return path.name.removesuffix(ending)


def _open(path: Path) -> IO[bytes]:
    if path.suffix != ".zst":
        return path.open("rb")
    handle = path.open("rb")
    head = handle.peek(4)[:4]
    if head != zstandard.FRAME_HEADER and head[1:] != SKIPPABLE_HEADER:
        handle.close()
        raise InputError(f"{path} is not a zstd file", "name the file by what it is, or download it again")
    # zstd's own bound: a larger window, which a frame of a few bytes can ask for, is memory for nothing.
    decoder = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
    return decoder.stream_reader(handle, read_across_frames=True, closefd=True)


def _document(path: Path, name: str, alone: bool, max_bytes: int) -> Iterator[Raw]:
    """A file that is one run, or a JSON list of rows."""
    with _open(path) as handle:
        try:
            data = handle.read(max_bytes + 1)
        except zstandard.ZstdError:
            yield name, DAMAGED
            return
    if len(data) > max_bytes:
        yield name, Unusable("row is too large")
        return
    try:
        value = loads(data)
    except Unusable as fault:
        if alone:
            raise InputError(f"{path} is not JSON", "name a trajectory file, or a folder of them") from fault
        yield name, fault
        return
    if isinstance(value, list) and alone:
        yield from ((f"{name}:{number}", _mapping(item)) for number, item in enumerate(value, 1))
    else:
        yield name, _mapping(value)


def _mapping(value: Any) -> Row | Unusable:
    return value if isinstance(value, dict) else Unusable("row is not a mapping")


def _lines(path: Path, name: str, max_bytes: int) -> Iterator[Raw]:
    whole = path.suffix != ".zst" or is_whole(path)
    number = 0
    last: Raw | None = None  # held back: the last line of a cut file is part of the cut
    with _open(path) as handle:
        try:
            for number, line in enumerate(split_lines(handle, max_bytes), 1):
                if last is not None:
                    yield last
                last = (f"{name}:{number}", _line(line)) if line is None or line.strip() else None
        except zstandard.ZstdError:
            if last is not None:
                yield last
            yield f"{name}:{number + 1}", DAMAGED
            return
    if last is not None and (whole or not isinstance(last[1], Unusable)):
        yield last
    if not whole:
        yield f"{name}:end", CUT


def _line(line: bytes | None) -> Row | Unusable:
    if line is None:
        return Unusable("row is too large")
    try:
        return _mapping(loads(line))
    except Unusable as fault:
        return fault


def _parquet(path: Path, name: str, messages: str, stay: bool) -> Iterator[Raw]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not a whole parquet file", "download it again") from error
    number = 0
    with file:
        stay = stay and may_stay(file, messages)
        batches = file.iter_batches(batch_size=BATCH, use_threads=False)
        try:
            for rows in _ahead(_prepared(batches, path, messages, stay)):
                for row in rows:
                    number += 1
                    yield f"{name}:{number}", row
        except (pa.ArrowException, OSError):
            yield f"{name}:{number + 1}", DAMAGED


def _ahead(batches: Iterator[Some]) -> Iterator[Some]:
    """The same batches; the next ones are made while one is used."""
    with ThreadPoolExecutor(1) as maker:
        pending = deque(maker.submit(next, batches, None) for _ in range(AHEAD))
        while (batch := pending.popleft().result()) is not None:
            pending.append(maker.submit(next, batches, None))
            yield batch


def _prepared(
    batches: Iterator[pa.RecordBatch], path: Path, messages: str, stay: bool
) -> Iterator[list[Row | Unusable]]:
    """The rows of each batch."""
    start = 0
    for batch in batches:
        yield _batch_rows(batch, messages, Spot(path, messages, start) if stay else None)
        start += batch.num_rows


def _batch_rows(batch: pa.RecordBatch, messages: str, spot: Spot | None) -> list[Row | Unusable]:
    try:
        in_arrow = rows_in_arrow(batch, messages, spot)
    except (ValueError, OverflowError):
        in_arrow = None
    if in_arrow is not None:
        return [*in_arrow]
    return [Unusable("row cannot be decoded") if row is None else row for row in batch_rows(batch)]
