"""A Hub on loopback, a dataset to publish, and what both need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import HubServer, serving
from hub_state import READ_WRITE
from publishing import Publisher, RowList, corpus, write


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The library hands files to httpx in a way that httpx has deprecated."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning"))


@pytest.fixture(scope="session", autouse=True)
def rule_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The scanner's compiled rules stay in the tests' own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KF_RULE_CACHE_DIR", str(tmp_path_factory.mktemp("rules")))
        yield


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub of these tests is on loopback, whatever the environment of whoever runs them says."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A Hub of this test alone."""
    with serving() as server:
        yield server


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A small clean dataset of several files."""
    return write(tmp_path / "dataset", corpus(), rows_per_file=10)


@pytest.fixture
def publishing(hub: HubServer) -> Publisher:
    """Publish with a token that may write."""
    return Publisher(hub, {"HF_TOKEN": READ_WRITE, "HF_ENDPOINT": hub.url})


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A dataset of other rows, in a folder of its own."""

    def make(rows: RowList, name: str = "changed", rows_per_file: int = 10) -> Path:
        return write(tmp_path / name, rows, rows_per_file)

    return make
