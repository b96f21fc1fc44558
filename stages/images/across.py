"""The nearest pictures whatever they were asked: FAISS, its recall measured on a sample, exact where it is too low."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from contextrl_data.pipeline.errors import ConfigError, InputError, MissingExtra, SetupError, first_line
from contextrl_data.stages.doctor import FAISS_BUILDS
from contextrl_data.stages.images.neighbours import unit
from contextrl_data.stages.images.tiles import Floats, Ints, TorchTiles, tiles_for
from contextrl_data.stages.images.vectors import Half

TRAIN_ROWS = 20_000
"""Vectors that codebooks are learnt from."""
CHUNK = 8192
SMALL = 5_000
"""Up to so many vectors, comparing all is as fast as building anything."""


@dataclass(frozen=True)
class Neighbours:
    """The k nearest of every vector, itself left out."""

    places: Ints
    """(n, k), int32, nearest first; -1 where there are fewer."""
    how: str
    """The index, or `exact`."""
    recall: float | None
    """Share of the true k nearest of a sample that the index found; None where it was not asked."""


@dataclass(frozen=True)
class IndexChoice:
    """Which index, and when to do without."""

    index: str = "auto"
    """A string of FAISS's `index_factory`; `exact`; or `auto`: exact on a GPU and for few vectors, else the first of
    `default_plans` that reaches the recall asked for."""
    search: str = ""
    """Parameters of the search, as FAISS's `ParameterSpace` reads them (`nprobe=16,k_factor_rf=4`)."""
    min_recall: float = 0.99
    """Recall below which the answer is computed exactly."""
    sample: int = 1000
    """Vectors, spread evenly, on which recall is measured."""
    file: Path | None = None
    """An index over these very vectors, written before."""


def nearest_of_all(vectors: Half, k: int, choice: IndexChoice, device: str, save_to: Path | None = None) -> Neighbours:
    """The nearest `k` of each vector (n, d) by cosine. `device` is mining's own; `save_to` is where the index goes.

    Raises:
        ConfigError: FAISS does not know the index or a parameter.
        InputError: the index file is of other vectors.
        MissingExtra, SetupError: FAISS is not there, or two builds of it are.
    """
    every = np.arange(len(vectors))
    top = top_products(device)
    few = len(vectors) <= SMALL or top.fast
    if choice.file is None and (choice.index == "exact" or (choice.index == "auto" and few)):
        return Neighbours(exact(vectors, every, k, top), "exact", None)
    faiss = import_faiss()
    plans = [(choice.file.name if choice.file else choice.index, choice.search)]
    if choice.index == "auto" and choice.file is None:
        plans = default_plans(vectors.shape[1])
    queries = np.unique(np.linspace(0, len(vectors) - 1, min(choice.sample, len(vectors))).astype(np.int64))
    truth = exact(vectors, queries, k, top)
    made, built, recall = None, "", 0.0
    for name, search in plans:
        try:
            if name != built:
                made, built = _load(faiss, choice.file, vectors) if choice.file else _build(faiss, name, vectors), name
            if search:
                faiss.ParameterSpace().set_index_parameters(made, search)
            recall = recall_of(_search(made, vectors, queries, k), truth)
            if recall >= choice.min_recall:
                if save_to is not None:
                    faiss.write_index(made, str(save_to))
                return Neighbours(_search(made, vectors, every, k), f"{name} {search}".strip(), recall)
        except RuntimeError as error:
            told = first_line(error, 1000).split("Error: ")[-1][:160]
            raise ConfigError(f"FAISS cannot use the index {name!r} with {search!r}: {told}", "mend either") from error
    if choice.file and recall < 0.5:
        told = f"{choice.file} finds {recall:.0%} of the nearest: it was made over other vectors"
        raise InputError(told, "make it again from these")
    del made
    return Neighbours(exact(vectors, every, k, top), f"exact, since {built} fell short", recall)


def default_plans(dimension: int) -> list[tuple[str, str]]:
    """Indexes with their search parameters, the cheapest first: product quantisation in registers picks candidates,
    which are then measured exactly.

    >>> default_plans(768)[0]
    ('PQ96x4fs,RFlat', 'k_factor_rf=4')
    """
    plans = []
    for wanted in (8, 4):
        size = next(size for size in range(wanted, 0, -1) if dimension % size == 0)
        plans += [(f"PQ{dimension // size}x4fs,RFlat", f"k_factor_rf={factor}") for factor in (4, 16, 64)]
    return plans


def recall_of(found: Ints, truth: Ints) -> float:
    """Share of the true neighbours that are among those found; both (n, k), -1 stands for none."""
    both = (np.intersect1d(one[one >= 0], other[other >= 0]).size for one, other in zip(found, truth, strict=True))
    return sum(both) / max(int((truth >= 0).sum()), 1)


def import_faiss() -> Any:
    """FAISS, one build of it.

    Raises:
        SetupError: two builds lie over each other, or the one there does not load.
        MissingExtra: none is installed.
    """
    builds = installed_builds()
    if len(builds) > 1:
        raise SetupError(
            f"{' and '.join(builds)} are installed over each other",
            f"pip uninstall -y {' '.join(builds)}, then install one of them",
        )
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise MissingExtra("faiss", "mining across question groups") from error
    except (ImportError, RuntimeError, OSError) as error:
        first = first_line(error, 160)
        raise SetupError(f"faiss does not load: {first}", "pip install --force-reinstall the build you want") from error
    return faiss


def installed_builds(names: Sequence[str] = FAISS_BUILDS) -> list[str]:
    """Distributions of FAISS that are installed."""
    found = []
    for name in names:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def _build(faiss: Any, name: str, vectors: Half) -> Any:
    made = faiss.index_factory(vectors.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    if not made.is_trained:
        rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), TRAIN_ROWS)).astype(np.int64))
        made.train(unit(vectors[rows]))
    for start in range(0, len(vectors), CHUNK):
        made.add(unit(vectors[start : start + CHUNK]))
    return made


def _load(faiss: Any, path: Path, vectors: Half) -> Any:
    try:
        made = faiss.read_index(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} is no index of FAISS", "remove mine.across.file, or mend it") from error
    if made.d != vectors.shape[1]:
        raise InputError(
            f"the index {path} is of dimension {made.d}, the vectors of {vectors.shape[1]}", "make it again from these"
        )
    if made.ntotal != len(vectors) or made.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise InputError(
            f"the index {path} holds {made.ntotal:,} vectors, there are {len(vectors):,}", "make it again from these"
        )
    return made


def _search(made: Any, vectors: Half, queries: Ints, k: int) -> Ints:
    """(q, k) without the query itself."""
    parts = []
    for start in range(0, len(queries), CHUNK):
        rows = queries[start : start + CHUNK]
        _, found = made.search(unit(vectors[rows]), min(k + 1, made.ntotal))
        parts.append(_without_self(found, rows, k))
    return np.concatenate(parts)


def _without_self(found: Ints, rows: Ints, k: int) -> Ints:
    """(q, k) of (q, k + 1); a query that copies have pushed out of its own list takes the last one with it."""
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True
    order = np.argsort(own, axis=1, kind="stable")
    left = np.take_along_axis(np.where(own, -1, found), order, axis=1)[:, :k]
    return np.pad(left, ((0, 0), (0, k - left.shape[1])), constant_values=-1).astype(np.int32)


def exact(vectors: Half, queries: Ints, k: int, top: TopProducts) -> Ints:
    """(q, k): by comparing each query with all, block by block."""
    parts = []
    for start in range(0, len(queries), top.queries):
        rows = queries[start : start + top.queries]
        asked = top.here(unit(vectors[rows]))
        values, places = np.empty((len(rows), 0), np.float32), np.empty((len(rows), 0), np.int64)
        for left in range(0, len(vectors), top.block):
            block = unit(vectors[left : left + top.block])
            found, where = top(asked, top.here(block), min(k + 1, len(block)))
            values, places = np.hstack([values, found]), np.hstack([places, where + left])
            order = np.argsort(-values, axis=1, kind="stable")[:, : k + 1]
            values = np.take_along_axis(values, order, axis=1)
            places = np.take_along_axis(places, order, axis=1)
        parts.append(_without_self(places, rows, k))
    return np.concatenate(parts) if parts else np.empty((0, k), np.int32)


class TopProducts:
    """The greatest products of queries with a block: by FAISS on this machine's cores."""

    fast = False
    """Whether comparing all is faster than building an index."""
    queries, block = 16_384, 65_536

    def here(self, values: Floats) -> Any:
        """A block where it is to be multiplied."""
        return values

    def __call__(self, queries: Any, block: Any, k: int) -> tuple[Floats, Ints]:
        """Products and places, (q, k), greatest first."""
        faiss = import_faiss()
        found: tuple[Floats, Ints] = faiss.knn(queries, block, k, metric=faiss.METRIC_INNER_PRODUCT)
        return found


class TorchTopProducts(TopProducts):
    """The same on a device of torch."""

    fast = True
    queries, block = 4096, 131_072

    def __init__(self, torch: Any, device: Any) -> None:
        self._torch, self._device = torch, device

    def here(self, values: Floats) -> Any:
        """See `TopProducts.here`."""
        return self._torch.from_numpy(values).to(self._device)

    def __call__(self, queries: Any, block: Any, k: int) -> tuple[Floats, Ints]:
        """See `TopProducts.__call__`."""
        with self._torch.inference_mode():
            found = (queries @ block.T).topk(k, dim=1)
            return found.values.cpu().numpy(), found.indices.cpu().numpy()


def top_products(device: str) -> TopProducts:
    """The engine for a device, as `tiles_for` chooses it."""
    tiles = tiles_for(device)
    return TorchTopProducts(*tiles.place) if isinstance(tiles, TorchTiles) else TopProducts()
