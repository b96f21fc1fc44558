"""Exact mining against brute force, on numpy and torch, with answers, sources, bounds and a second encoder."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.stages.images import neighbours
from contextrl_data.stages.images.neighbours import Bounds, Members, nearest_in_groups
from contextrl_data.stages.images.tiles import NumpyTiles, Tiles, tiles_for

TORCH = importlib.util.find_spec("torch") is not None
ENGINES = [
    "numpy",
    pytest.param("cpu", marks=pytest.mark.skipif(not TORCH, reason="needs the extra [images]")),
]


def made(count: int, seed: int, spread: float = 0.5, groups: int = 4, answers: int = 5) -> tuple[Members, np.ndarray]:
    """Clustered unit vectors with groups, answers and repeated sources."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, 24))
    vectors = centres[rng.integers(0, 6, count)] + spread * rng.normal(size=(count, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    members = Members(
        group=rng.integers(0, groups, count),
        answer=rng.integers(0, answers, count),
        source=rng.integers(0, max(count * 3 // 4, 1), count),
        place=rng.permutation(count),
    )
    return members, vectors.astype(np.float16)


def brute(members: Members, vectors: list[np.ndarray], bounds: Bounds) -> set[tuple[int, int]]:
    """What mining is to find, from its definition."""
    own = [each[members.place].astype(np.float64) for each in vectors]
    own = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in own]
    product = np.round(own[0] @ own[0].T, 6)
    fit = members.group[:, None] == members.group[None, :]
    fit &= members.answer[:, None] != members.answer[None, :]
    fit &= members.source[:, None] != members.source[None, :]
    fit &= (product >= bounds.low) & (product <= bounds.high)
    if bounds.highest_second is not None:
        fit &= np.round(own[1] @ own[1].T, 6) <= bounds.highest_second
    found = set()
    for one in range(len(product)):
        partners = np.flatnonzero(fit[one])
        nearest = partners[np.lexsort((partners, -product[one, partners]))][: bounds.k]
        found |= {(min(one, int(other)), max(one, int(other))) for other in nearest}
    return found


def mined(members: Members, vectors: list[np.ndarray], bounds: Bounds, tiles: Tiles) -> set[tuple[int, int]]:
    found = nearest_in_groups(members, vectors, bounds, tiles)
    assert (found.one < found.other).all()
    assert ((found.similarity >= bounds.low) & (found.similarity <= bounds.high)).all()
    pairs = set(zip(found.one.tolist(), found.other.tolist(), strict=True))
    assert len(pairs) == len(found.one)
    return pairs


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("low", [0.0, 0.6])
@pytest.mark.parametrize(("rows", "columns"), [(1024, 8192), (16, 40), (7, 5)])
def test_every_wanted_pair_is_found_and_no_other(
    engine: str, low: float, rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "ROWS", rows)
    monkeypatch.setattr(neighbours, "COLUMNS", columns)
    monkeypatch.setattr(neighbours, "PENDING", 500)
    members, vectors = made(400, 1)
    bounds = Bounds(k=5, low=low, high=0.97)
    assert mined(members, [vectors], bounds, tiles_for(engine)) == brute(members, [vectors], bounds)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_encoders_must_disagree_before_the_nearest_are_counted(engine: str) -> None:
    members, vectors = made(300, 2)
    _, second = made(300, 3)
    bounds = Bounds(k=3, low=0.2, high=0.99, highest_second=0.1)
    both = [vectors, second]
    assert mined(members, both, bounds, tiles_for(engine)) == brute(members, both, bounds)
    assert brute(members, both, bounds) != brute(members, both, Bounds(k=3, low=0.2, high=0.99))


@given(
    count=st.integers(0, 60),
    seed=st.integers(0, 10**6),
    k=st.integers(1, 4),
    groups=st.integers(1, 9),
    answers=st.integers(1, 9),
    spread=st.sampled_from([0.0, 0.1, 2.0]),
)
def test_any_shape_of_groups(count: int, seed: int, k: int, groups: int, answers: int, spread: float) -> None:
    members, vectors = made(count, seed, spread or 0.05, groups, answers)
    bounds = Bounds(k=k, low=0.3, high=0.98)
    assert mined(members, [vectors], bounds, NumpyTiles()) == brute(members, [vectors], bounds)


@pytest.mark.parametrize("engine", ENGINES)
def test_copies_do_not_take_the_places_of_neighbours(engine: str) -> None:
    """Twenty copies with another answer stand nearer than the one true neighbour."""
    base, other = np.eye(2, 8, dtype=np.float16)
    near = (0.9 * base + np.sqrt(1 - 0.81) * other).astype(np.float16)
    vectors = np.stack([base] * 21 + [near])
    members = Members(
        group=np.zeros(22, np.int64),
        answer=np.array([0] + [1] * 20 + [2]),
        source=np.arange(22),
        place=np.arange(22),
    )
    pairs = mined(members, [vectors], Bounds(k=1, low=0.5, high=0.98), tiles_for(engine))
    assert (0, 21) in pairs
    assert not any(other <= 20 for _, other in pairs)


def test_a_device_that_is_not_there_is_one_line() -> None:
    if TORCH:
        with pytest.raises(ConfigError, match="device 'nowhere'"):
            tiles_for("nowhere")
    assert isinstance(tiles_for("numpy"), NumpyTiles)
