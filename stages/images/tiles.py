"""Products of blocks of vectors, on numpy or torch: what of a block is worth keeping comes back as three arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.images.encoders.base import torch_device

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Hits = tuple[Ints, Ints, Floats]
"""Row and column within the tile, and the product."""

NEVER = -4.0
"""Stands for "not wanted": below any cosine."""


@dataclass(frozen=True)
class Wanted:
    """Which products of a tile count."""

    ends: Ints
    """For each row, the first column that may count; those before it have the same answer or were seen."""
    same: tuple[Ints, Ints] | None
    """Codes of rows and columns that must differ, where any repeats."""
    high: float
    """Greatest product that counts."""
    highest_second: float | None
    """Greatest product of the second vectors, where there are any."""
    rows: Floats
    """For each row, the least product worth keeping for it."""
    columns: Floats
    """For each column."""
    k: int
    """How many are worth keeping for each row and each column."""


class Tiles(Protocol):
    """Holds vectors of one or two encoders, and multiplies blocks of them."""

    def hold(self, vectors: Sequence[Floats]) -> None:
        """Take vectors (n, d) of each encoder, float32, n the same for all."""
        ...

    def hits(self, rows: slice, columns: slice, wanted: Wanted) -> Hits:
        """Every product of rows with columns that counts and is worth keeping; k of each row and column may do."""
        ...


class NumpyTiles:
    """On this machine's cores, without torch."""

    def hold(self, vectors: Sequence[Floats]) -> None:
        """See `Tiles.hold`."""
        self._held = list(vectors)

    def hits(self, rows: slice, columns: slice, wanted: Wanted) -> Hits:
        """See `Tiles.hits`."""
        first = self._held[0]
        product = first[rows] @ first[columns].T
        if wanted.highest_second is not None:
            second = self._held[1]
            product[second[rows] @ second[columns].T > wanted.highest_second] = NEVER
        for start, stop, end in _runs(wanted.ends):
            product[start:stop, :end] = NEVER
        if wanted.same is not None:
            product[wanted.same[0][:, None] == wanted.same[1][None, :]] = NEVER
        floor = float(min(wanted.rows.min(), wanted.columns.min()))
        worth = product >= floor
        if np.count_nonzero(worth) > _few(product.shape, wanted.k):
            product[product > wanted.high] = NEVER
            worth = (product >= wanted.rows[:, None]) | (product >= wanted.columns[None, :])
            if np.count_nonzero(worth) > _few(product.shape, wanted.k):
                return self._best(product, wanted)
        row, column = np.nonzero(worth)
        return row, column, product[row, column]

    @staticmethod
    def _best(product: Floats, wanted: Wanted) -> Hits:
        """The k greatest of each row and of each column, where nearly all would be kept."""
        parts = []
        for turned, block in ((False, product), (True, np.ascontiguousarray(product.T))):
            k = min(wanted.k, block.shape[1])
            column = np.argpartition(block, block.shape[1] - k, axis=1)[:, block.shape[1] - k :].ravel()
            row = np.repeat(np.arange(len(block)), k)
            parts.append((column, row) if turned else (row, column))
        row, column = (np.concatenate(each) for each in zip(*parts, strict=True))
        row, column = np.divmod(np.unique(row * product.shape[1] + column), product.shape[1])
        found = product[row, column]
        kept = found > NEVER
        return row[kept], column[kept], found[kept]


class TorchTiles:
    """On any device of torch: the same code on a GPU."""

    def __init__(self, torch: Any, device: Any) -> None:
        self._torch, self._device = torch, device

    @property
    def place(self) -> tuple[Any, Any]:
        """torch and the device."""
        return self._torch, self._device

    def hold(self, vectors: Sequence[Floats]) -> None:
        """See `Tiles.hold`."""
        self._held = [self._here(each) for each in vectors]

    def _here(self, values: npt.NDArray[Any]) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def hits(self, rows: slice, columns: slice, wanted: Wanted) -> Hits:
        """See `Tiles.hits`."""
        with self._torch.inference_mode():
            row, column, found = self._hits(rows, columns, wanted)
            return row.cpu().numpy(), column.cpu().numpy(), found.cpu().numpy()

    def _hits(self, rows: slice, columns: slice, wanted: Wanted) -> tuple[Any, Any, Any]:
        first = self._held[0]
        product = first[rows] @ first[columns].T
        if wanted.highest_second is not None:
            second = self._held[1]
            product.masked_fill_(second[rows] @ second[columns].T > wanted.highest_second, NEVER)
        for start, stop, end in _runs(wanted.ends):
            product[start:stop, :end] = NEVER
        if wanted.same is not None:
            product.masked_fill_(self._here(wanted.same[0])[:, None] == self._here(wanted.same[1])[None, :], NEVER)
        floor = float(min(wanted.rows.min(), wanted.columns.min()))
        worth = product >= floor
        if int(worth.sum()) > _few(tuple(product.shape), wanted.k):
            product.masked_fill_(product > wanted.high, NEVER)
            worth = product >= self._here(wanted.rows)[:, None]
            worth |= product >= self._here(wanted.columns)[None, :]
            if int(worth.sum()) > _few(tuple(product.shape), wanted.k):
                return self._best(product, wanted)
        row, column = worth.nonzero(as_tuple=True)
        return row, column, product[row, column]

    def _best(self, product: Any, wanted: Wanted) -> tuple[Any, Any, Any]:
        torch = self._torch
        height, width = product.shape
        column = product.topk(min(wanted.k, width), dim=1).indices
        row = torch.arange(height, device=self._device)[:, None].expand_as(column)
        other_row = product.T.contiguous().topk(min(wanted.k, height), dim=1).indices
        other_column = torch.arange(width, device=self._device)[:, None].expand_as(other_row)
        row = torch.cat([row.reshape(-1), other_row.reshape(-1)])
        column = torch.cat([column.reshape(-1), other_column.reshape(-1)])
        both = torch.unique(row * width + column)
        row, column = both // width, both % width
        found = product[row, column]
        kept = found > NEVER
        return row[kept], column[kept], found[kept]


def _runs(ends: Ints) -> list[tuple[int, int, int]]:
    """Neighbouring rows with one end above 0, as (start, stop, end)."""
    borders = np.flatnonzero(np.diff(ends, prepend=ends[0] - 1))
    stops = np.append(borders[1:], len(ends))
    pairs = zip(borders.tolist(), stops.tolist(), ends[borders].tolist(), strict=True)
    return [(start, stop, end) for start, stop, end in pairs if end > 0]


def _few(shape: tuple[int, ...], k: int) -> int:
    """Products up to which it is cheaper to keep them all than to look for the best of each row and column."""
    return 2 * k * (shape[0] + shape[1])


def tiles_for(device: str) -> Tiles:
    """The engine for a device: `numpy`, one of torch's, or `auto`: torch on a GPU where there is one, else numpy.

    Raises:
        MissingExtra, ConfigError: torch or the device is not there.
    """
    if device == "numpy":
        return NumpyTiles()
    try:
        import torch
    except ImportError as error:
        if device == "auto":
            return NumpyTiles()
        raise MissingExtra("images", f"mining on {device}") from error
    if device == "auto" and not torch.cuda.is_available():
        return NumpyTiles()
    return TorchTiles(torch, torch_device(torch, device))
