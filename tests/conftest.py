"""Fixtures that several parts share: a real Docker, and the proof that no test leaves a container behind."""

from __future__ import annotations

import gc
import importlib.util
import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from contextrl_data.pipeline.errors import SetupError

if importlib.util.find_spec("torch") is not None and importlib.util.find_spec("torchvision") is not None:
    from torchvision_shim import mend_torchvision

    mend_torchvision()  # before transformers, diffusers or open_clip look for it

if TYPE_CHECKING:
    import docker

# A loaded machine is slow now and then: tests assert behaviour, never time.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

TRAINING = importlib.util.find_spec("torch") is not None and importlib.util.find_spec("trl") is not None
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
collect_ignore = [] if TRAINING else ["stages/train"]
if IN_CI and not TRAINING:
    raise pytest.UsageError("CI runs the training tests too: install the extra [train] (make test does)")


def pytest_report_header() -> str:
    """Say what is not collected, and how to have it."""
    return "" if TRAINING else "stages/train: not collected, it needs the extra [train]: make test"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How several processes share the tests."""
    from sharing import ByFile

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The Docker SDK drops the socket of a refused connection unclosed; when it is collected is chance."""
    for item in items:
        if "refused_docker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


RUN_IDS: list[str] = []
"""Run ids that tests of this session used; none may have a container at the end."""


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is noted of images in tests is no concern of this user's builds."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def refused_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`DOCKER_HOST` set to a socket that is not there."""
    address = f"unix://{tmp_path}/none.sock"
    monkeypatch.setenv("DOCKER_HOST", address)
    yield address
    # Collect the dropped sockets here, not in some later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """A client whose daemon answers. Skips where Docker cannot exist, but never in CI: there it is a failure."""
    from contextrl_data.stages.coding.sandbox import connect, reap

    try:
        client = connect()
    except SetupError as error:
        if IN_CI:
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield client
    left = [run_id for run_id in RUN_IDS if reap(client, run_id)]
    client.close()
    assert not left, f"containers of these runs were left behind (and removed now): {left}"


@pytest.fixture(scope="session")
def base_image(docker_client: docker.DockerClient) -> str:
    """The base image's tag; made first where it is missing."""
    from contextrl_data.stages.coding.images import ensure_base

    return ensure_base(docker_client, print)


@pytest.fixture
def run_id() -> str:
    """A run id of this test alone."""
    RUN_IDS.append(f"test-{uuid.uuid4().hex[:12]}")
    return RUN_IDS[-1]
