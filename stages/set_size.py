"""How many rows a set has, as far as that can be told on this machine without reading them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from contextrl_data.pipeline.outlook import Outlook

ASSUMED = 1000
"""Rows of a set whose size is not known: figures are then told for so many."""
SINGLE = (".traj", ".traj.json")
"""Files of one run each."""


def set_outlook(path: str, limit: int | None) -> Outlook:
    """What a source gives that reads this file, folder or data set on the Hub, at most `limit` rows of it."""
    local = Path(path).expanduser()
    count = size_of(local) if local.exists() else None
    if count is not None:
        return Outlook(count if limit is None else min(count, limit))
    unknown = f"the size of {path}: told for {limit or ASSUMED:,} rows"
    return Outlook(limit or ASSUMED, unknown=unknown)


def size_of(path: Path) -> int | None:
    """Rows of a file, or of all files in a folder; None where they would have to be read to be counted."""
    if path.is_dir():
        sizes = [size_of(file) for file in sorted(path.rglob("*")) if file.is_file() and _known(file)]
        return sum(size for size in sizes if size is not None) or None
    if path.name.endswith(SINGLE):
        return 1
    try:
        if path.suffix == ".parquet":
            return int(pq.read_metadata(path).num_rows)
        if path.name.endswith((".jsonl", ".jsonl.zst")):
            return sum(block.count(b"\n") for block in _blocks(path))
    except (OSError, pa.ArrowException, zstandard.ZstdError):
        return None  # the build says what is wrong with it
    return None


def _known(path: Path) -> bool:
    return path.name.endswith((*SINGLE, ".parquet", ".jsonl", ".jsonl.zst"))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        stream: io.BufferedIOBase | zstandard.ZstdDecompressionReader = raw
        if path.suffix == ".zst":
            stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        while block := stream.read(1 << 20):
            yield block
