"""Vectors on disk and in memory: the store that lets a second run embed only what is new, and the matrix to mine in."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.pipeline.stage import Rows
from contextrl_data.pipeline.store import write_table
from contextrl_data.stages.images.encoders.precomputed import matrix_of
from contextrl_data.stages.images.rows import EMBEDDED

Half = npt.NDArray[np.float16]

_PARTS_IN_MEMORY = 4
_SHORTEST, _LONGEST = 1e-6, 1e18


def default_folder() -> Path:
    """The per-user folder for vectors."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "contextrl-data" / "vectors"


def unit_half(vectors: npt.NDArray[np.float32]) -> tuple[Half, list[str]]:
    """Vectors (n, d) at length 1 in float16, and for each the reason why it cannot be used ("" where it can)."""
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        made = (vectors / lengths[:, None]).astype(np.float16)
    reasons = np.where(
        ~np.isfinite(vectors).all(axis=1),
        "vector is not finite",
        np.where((lengths > _SHORTEST) & (lengths < _LONGEST), "", "vector has no length"),
    )
    return made, reasons.tolist()


class VectorStore:
    """Vectors of one encoder by image id, in parquet parts named by what they hold.

    A part is written whole or not at all; one that cannot be read (a full disk, a kill of the machine) is ignored, and
    its pictures are embedded again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"cannot make {folder}: {error.strerror}", "set embed.cache_dir") from error
        self._places: dict[str, tuple[Path, int]] = {}
        self._open: OrderedDict[Path, Half] = OrderedDict()
        self.dimension = 0
        for path in sorted(folder.glob("part-*.parquet")):
            try:
                ids = pq.read_table(path, columns=["id"]).column("id").to_pylist()
            except (pa.ArrowException, OSError):
                continue
            self._places.update((name, (path, place)) for place, name in enumerate(ids))

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    def get(self, image_id: str) -> Half | None:
        """The vector (d,), or None where it is not there or its part is damaged."""
        place = self._places.get(image_id)
        if place is None:
            return None
        path, row = place
        if path not in self._open:
            try:
                self._open[path] = matrix(pq.read_table(path, columns=["vector"]).column("vector"), str(path))
            except (pa.ArrowException, OSError, InputError):
                return None
            while len(self._open) > _PARTS_IN_MEMORY:
                self._open.popitem(last=False)
        self._open.move_to_end(path)
        found: Half = self._open[path][row]
        return found

    def put(self, ids: Sequence[str], vectors: Half) -> None:
        """Write one part."""
        name = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
        rows = pa.table({"id": pa.array(ids, pa.string()), "vector": column_of(vectors)}, schema=EMBEDDED)
        path = self.folder / f"part-{name}.parquet"
        write_table(path, rows)
        self._open.pop(path, None)
        self._places.update((one, (path, place)) for place, one in enumerate(ids))


def column_of(vectors: Half) -> pa.ListArray:
    """A matrix as a column of lists."""
    count, width = vectors.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(vectors).reshape(-1)))


def matrix(column: pa.ChunkedArray, where: str) -> Half:
    """A column of vectors as a matrix (n, d), float16."""
    parts = [matrix_of(chunk, where) for chunk in column.chunks if len(chunk)]
    if len({part.shape[1] for part in parts}) > 1:
        raise InputError(f"{where}: vectors of several dimensions", "use vectors of one encoder")
    return np.concatenate(parts).astype(np.float16) if parts else np.empty((0, 0), np.float16)


@dataclass(frozen=True)
class VectorTable:
    """All vectors of a build, to be looked up by image id."""

    place: dict[str, int]
    """Image id -> row of `vectors`."""
    vectors: Half
    """(n, d), each of length 1."""

    @staticmethod
    def read(rows: Rows, name: str) -> VectorTable:
        """The rows of an embedding stage.

        Raises:
            InputError: the vectors are of several dimensions.
        """
        ids: list[str] = []
        parts: list[Half] = []
        for batch in rows.batches(EMBEDDED.names):
            made = matrix_of(batch.column("vector"), name).astype(np.float16)
            if parts and parts[0].shape[1] != made.shape[1]:
                raise InputError(
                    f"{name}: vectors of {parts[0].shape[1]} and of {made.shape[1]} numbers",
                    "embed all pictures with one encoder",
                )
            ids.extend(batch.column("id").to_pylist())
            parts.append(made)
        vectors = np.concatenate(parts) if parts else np.empty((0, 0), np.float16)
        return VectorTable({image_id: place for place, image_id in enumerate(ids)}, vectors)
