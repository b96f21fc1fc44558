"""Images that are not here: pulled once from a real registry protocol, and told apart where they cannot be had."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import registry_server

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.image_build import image_exists
from contextrl_data.stages.coding.pull import fetch_image, registry_of
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig, UnusableTask

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.docker
here = pytest.mark.skipif(
    os.environ.get("DOCKER_HOST", "").startswith(("tcp", "ssh", "http")),
    reason="a daemon elsewhere cannot reach this machine's loopback",
)


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("debian", "docker.io"),
        ("swebench/sweb.eval.x86_64.a_1776_b-1:latest", "docker.io"),
        ("ghcr.io/owner/name:1", "ghcr.io"),
        ("localhost/name", "localhost"),
        ("10.0.0.1:5000/name@sha256:00", "10.0.0.1:5000"),
    ],
)
def test_the_registry_is_read_from_the_name(image: str, registry: str) -> None:
    assert registry_of(image) == registry


@here
def test_an_image_is_pulled_once_however_many_ask_for_it(docker_client: docker.DockerClient, run_id: str) -> None:
    with registry_server.serving(docker_client.version()["Arch"]) as server:
        image = f"{server.host}/owner/tiny:1"
        try:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda _: fetch_image(docker_client, image), range(4)))
            assert image_exists(docker_client, image)
            assert sum(path.endswith("/manifests/1") for path in server.asked) <= 2  # HEAD and GET of one pull
            # The sandbox goes on with the pulled image: what it lacks is told of it, not that it is missing.
            docker_client.api.remove_image(image)
            with pytest.raises(UnusableTask, match=r"image does not start|image without bash"):
                Sandbox(docker_client, image, SandboxConfig(), run_id).exec("true")
        finally:
            if image_exists(docker_client, image):
                docker_client.api.remove_image(image, force=True)


@here
def test_an_image_that_its_registry_does_not_have_is_the_tasks_fault(docker_client: docker.DockerClient) -> None:
    with registry_server.serving("amd64") as server:
        image = f"{server.host}/owner/nothing:1"
        for _ in range(2):
            with pytest.raises(UnusableTask, match=f"image not found: {image}, also not at {server.host}"):
                fetch_image(docker_client, image)
        asked = [path for path in server.asked if "/manifests/" in path]
    assert 1 <= len(asked) <= 2  # the second time its answer is known


def test_a_registry_out_of_reach_is_nobodys_label(docker_client: docker.DockerClient) -> None:
    for _ in range(2):
        with pytest.raises(RowFailure, match=r"127.0.0.1:1/owner/name:1 is not here and cannot be pulled") as caught:
            fetch_image(docker_client, "127.0.0.1:1/owner/name:1")
        assert caught.value.boundary == "registry"
        assert not isinstance(caught.value, UnusableTask)


def test_an_image_of_ours_that_was_removed_is_no_drop(docker_client: docker.DockerClient, run_id: str) -> None:
    with pytest.raises(RowFailure, match="was removed; the same command, run again, rebuilds it") as caught:
        Sandbox(docker_client, "contextrl-data/no-such:tag", SandboxConfig(), run_id)
    assert caught.value.boundary == "image"
    assert not isinstance(caught.value, UnusableTask)
