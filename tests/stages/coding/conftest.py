"""What sandboxes run on: Docker, and a Kubernetes API on loopback whose pods are Docker's containers."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contextrl_data.stages.coding.backend import Host, connect_host
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend


@pytest.fixture(scope="session")
def kube_state(docker_client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """The cluster as its server knows it, and its kubeconfig. Nothing of it may be left at the end."""
    if importlib.util.find_spec("kubernetes") is None:
        reason = "needs the extra [kubernetes]"
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            pytest.fail(reason)
        pytest.skip(reason)
    if os.environ.get("DOCKER_HOST", "").startswith(("tcp", "ssh", "http")):
        pytest.skip("a daemon elsewhere")
    import kube_server

    with kube_server.serving(docker_client, tmp_path_factory.mktemp("kube")) as (state, kubeconfig):
        yield state, kubeconfig
        left = state.settled()
    assert not state.errors, state.errors[0]
    assert not left, f"pods were left behind (and removed now): {left}"


@pytest.fixture(scope="session")
def kube_backend(kube_state: tuple[Any, Path]) -> KubernetesBackend:
    """Settings that lead to it."""
    state, kubeconfig = kube_state
    return KubernetesBackend(kind="kubernetes", namespace=state.namespace, kubeconfig=kubeconfig, start_seconds=60)


@pytest.fixture(scope="session")
def cluster(kube_backend: KubernetesBackend) -> Iterator[Any]:
    """A connection to it."""
    connected = connect_host(kube_backend)
    yield connected
    connected.close()


@pytest.fixture(params=["docker", "kubernetes"])
def host(request: pytest.FixtureRequest, docker_client: Any) -> Host:
    """Both, one after the other."""
    return docker_client if request.param == "docker" else request.getfixturevalue("cluster")
