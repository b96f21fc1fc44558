"""FAISS across groups: recall that is measured and held, indexes of others, two builds over each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs the extra [images]")
faiss = pytest.importorskip("faiss", reason="needs the extra [faiss]")

from contextrl_data.pipeline.errors import ConfigError, InputError, SetupError  # noqa: E402
from contextrl_data.stages.images import across  # noqa: E402
from contextrl_data.stages.images.across import (  # noqa: E402
    IndexChoice,
    TopProducts,
    default_plans,
    exact,
    nearest_of_all,
    recall_of,
)

faiss.omp_set_num_threads(1)


def made(count: int, width: int = 32, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(40, width))[rng.integers(0, 40, count)] + 0.4 * rng.normal(size=(count, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def brute(vectors: np.ndarray, k: int) -> np.ndarray:
    full = vectors.astype(np.float64)
    full /= np.linalg.norm(full, axis=1, keepdims=True)
    product = full @ full.T
    np.fill_diagonal(product, -9)
    return np.argsort(-product, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize(("queries", "block"), [(10_000, 10_000), (37, 101)])
def test_exact_is_exact_in_any_blocks(device: str, queries: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if device == "cpu":
        pytest.importorskip("torch", reason="needs the extra [images]")
    top = across.top_products(device)
    monkeypatch.setattr(type(top), "queries", queries)
    monkeypatch.setattr(type(top), "block", block)
    vectors = made(700)
    found = exact(vectors, np.arange(700), 5, top)
    assert recall_of(found, brute(vectors, 5)) > 0.999
    assert not (found == np.arange(700)[:, None]).any()


def test_the_default_index_keeps_its_promise_or_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "SMALL", 100)
    vectors = made(3000, 64)
    truth = brute(vectors, 10)
    found = nearest_of_all(vectors, 10, IndexChoice(sample=200), "numpy")
    assert found.how in {" ".join(plan) for plan in default_plans(64)}
    assert found.recall is not None
    assert found.recall >= 0.99
    assert abs(recall_of(found.places, truth) - found.recall) < 0.05
    strict = nearest_of_all(vectors, 10, IndexChoice("IVF64,Flat", "nprobe=1", sample=200), "numpy")
    assert strict.how == "exact, since IVF64,Flat fell short"
    assert strict.recall is not None
    assert strict.recall < 0.99
    assert recall_of(strict.places, truth) > 0.999


def test_few_vectors_and_copies_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    same = np.repeat(made(1), 8, axis=0)
    found = nearest_of_all(same, 3, IndexChoice(), "numpy")
    assert (found.how, found.recall) == ("exact", None)
    assert not (found.places == np.arange(8)[:, None]).any()
    lonely = nearest_of_all(made(2), 5, IndexChoice(), "numpy").places
    assert lonely.tolist() == [[1, -1, -1, -1, -1], [0, -1, -1, -1, -1]]
    assert nearest_of_all(made(1)[:0], 5, IndexChoice(), "numpy").places.shape == (0, 5)


def test_an_index_is_written_and_read_again(tmp_path: Path) -> None:
    vectors = made(600)
    path = tmp_path / "index.faiss"
    first = nearest_of_all(vectors, 5, IndexChoice("IVF4,Flat", "nprobe=4"), "numpy", save_to=path)
    again = nearest_of_all(vectors, 5, IndexChoice("IVF4,Flat", "nprobe=4", file=path), "numpy")
    assert np.array_equal(first.places, again.places)


def test_an_index_of_other_vectors_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    nearest_of_all(made(600), 5, IndexChoice("Flat"), "numpy", save_to=path)
    for vectors, told in {
        "wider": (made(600, 48), "of dimension 32, the vectors of 48"),
        "more": (made(700), "holds 600 vectors, there are 700"),
        "others": (made(600, seed=5), "made over other vectors"),
    }.values():
        with pytest.raises(InputError, match=told) as caught:
            nearest_of_all(vectors, 5, IndexChoice("Flat", file=path), "numpy")
        assert "\n" not in str(caught.value)
    path.write_bytes(b"no index")
    with pytest.raises(InputError, match="no index of FAISS"):
        nearest_of_all(made(600), 5, IndexChoice("Flat", file=path), "numpy")


@pytest.mark.parametrize(("index", "search"), [("NoSuch12", ""), ("IVF4,Flat", "nprob=3"), ("PQ7x4fs", "")])
def test_an_index_that_faiss_does_not_know_is_one_line(index: str, search: str) -> None:
    with pytest.raises(ConfigError, match="FAISS cannot use the index") as caught:
        nearest_of_all(made(300), 5, IndexChoice(index, search), "numpy")
    assert "\n" not in str(caught.value)


def test_two_builds_over_each_other_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "installed_builds", lambda: ["faiss-cpu", "faiss-gpu"])
    with pytest.raises(SetupError, match="faiss-cpu and faiss-gpu are installed over each other — pip uninstall -y"):
        TopProducts()(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32), 1)


def test_the_default_indexes_fit_any_dimension() -> None:
    for width in (1, 2, 6, 7, 12, 768, 1280, 1152):
        for index, search in default_plans(width):
            assert width % int(index.removeprefix("PQ").split("x")[0]) == 0
            assert search.startswith("k_factor_rf=")
    found = nearest_of_all(made(400, 6), 3, IndexChoice(*default_plans(6)[-1], min_recall=0.0), "numpy")
    assert found.recall is not None
