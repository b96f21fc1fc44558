"""Vectors that were made elsewhere: a parquet file or folder with an id column, or a .npy matrix beside a list of ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.images.encoders.base import Vectors, digest_of_path


class PrecomputedConfig(StageConfig):
    """Settings of vectors from files."""

    kind: Literal["precomputed"]
    """Vectors from files; no model runs."""
    path: Path
    """`.npy` matrix (n, d), a `.parquet` file, or a folder of those."""
    ids: Path | None = None
    """Text file with one id a line, in the order of a `.npy` matrix's rows."""
    by: Literal["image_id", "id"] = "image_id"
    """What the ids name: a picture (sha256 of its bytes, hex), or a question."""
    id_column: str = "image_id"
    """Column of the ids in parquet."""
    vector_column: str = "vector"
    """Column of the vectors in parquet: lists of numbers."""

    def fingerprint(self) -> str:
        """Content of the files."""
        return digest_of_path(self.path) + (digest_of_path(self.ids) if self.ids else "")


def read_vectors(config: PrecomputedConfig) -> tuple[list[str], Vectors]:
    """Ids and their vectors, (n, d), as they are in the files.

    Raises:
        InputError: no such file, no such column, ids that do not fit, or vectors of more than one dimension.
    """
    if not config.path.exists():
        raise InputError(f"no vectors at {config.path}", "mend embed.encoder.path")
    if config.path.suffix == ".npy":
        return _from_npy(config)
    files = sorted(config.path.rglob("*.parquet")) if config.path.is_dir() else [config.path]
    if not files:
        raise InputError(f"{config.path} holds no .parquet file", "give .npy with ids, or parquet")
    ids: list[str] = []
    parts: list[Vectors] = []
    for file in files:
        for names, vectors in _from_parquet(file, config):
            if parts and parts[0].shape[1] != vectors.shape[1]:
                raise InputError(
                    f"{file} has vectors of {vectors.shape[1]} numbers, the files before it of {parts[0].shape[1]}",
                    "use vectors of one encoder",
                )
            ids.extend(names)
            parts.append(vectors)
    return ids, np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def _from_npy(config: PrecomputedConfig) -> tuple[list[str], Vectors]:
    if config.ids is None or not config.ids.is_file():
        raise InputError(f"{config.path} needs its ids", "set embed.encoder.ids to a text file with one id a line")
    try:
        matrix: npt.NDArray[np.generic] = np.load(config.path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{config.path} is no .npy matrix: {error}", "write it with numpy.save") from error
    ids = config.ids.read_text(encoding="utf-8").split("\n")
    ids = ids[:-1] if ids and not ids[-1] else ids
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.number) or len(ids) != len(matrix):
        raise InputError(
            f"{config.path} is {matrix.dtype} {matrix.shape}, and there are {len(ids)} ids",
            "give a matrix (ids, dimension) of numbers",
        )
    return ids, np.asarray(matrix, dtype=np.float32)


def _from_parquet(file: Path, config: PrecomputedConfig) -> Iterator[tuple[list[str], Vectors]]:
    columns = [config.id_column, config.vector_column]
    try:
        opened = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file} is no parquet file: {error}", "mend embed.encoder.path") from error
    if missing := [name for name in columns if name not in opened.schema_arrow.names]:
        raise InputError(
            f"{file} has no column {missing[0]!r}, it has {', '.join(opened.schema_arrow.names)}",
            "set embed.encoder.id_column and vector_column",
        )
    for batch in opened.iter_batches(columns=columns):
        yield [str(name) for name in batch.column(0).to_pylist()], matrix_of(batch.column(1), str(file))


def matrix_of(column: pa.Array, where: str) -> Vectors:
    """A column of lists as a matrix (n, d); a null row is a row of NaN.

    Raises:
        InputError: not lists of numbers, or of several lengths.
    """
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not lists or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise InputError(f"{where}: the vectors are {kind}, not lists of numbers", "store one list of numbers a row")
    known = column.drop_null()
    lengths = pc.unique(pc.list_value_length(known)).to_pylist()
    if len(lengths) > 1:
        raise InputError(f"{where}: vectors of {min(lengths)} and of {max(lengths)} numbers", "use one encoder's")
    width = lengths[0] if lengths else 0
    found = np.full((len(column), width), np.nan, dtype=np.float32)
    values = known.flatten().to_numpy(zero_copy_only=False)
    found[~column.is_null().to_numpy(zero_copy_only=False)] = values.reshape(len(known), width)
    return found
