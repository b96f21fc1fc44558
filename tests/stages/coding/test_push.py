"""Images made here reach the nodes of a cluster by a registry, and what is there already is not sent again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import registry_server
from coding_rows import Listed

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.coding.backend import connect_host, start_sandbox
from contextrl_data.stages.coding.faults import UnusableTask
from contextrl_data.stages.coding.image_build import IMAGE_LABEL, build_image, image_exists, one_file_context
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend
from contextrl_data.stages.coding.package_spec import PackageSpec
from contextrl_data.stages.coding.packages import Packages, PackagesConfig
from contextrl_data.stages.coding.push import push_image
from contextrl_data.stages.coding.sandbox import SandboxConfig

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.docker


@pytest.fixture
def registry(docker_client: docker.DockerClient) -> Iterator[registry_server.Server]:
    if os.environ.get("DOCKER_HOST", "").startswith(("tcp", "ssh", "http")):
        pytest.skip("a daemon elsewhere cannot reach this machine's loopback")
    with registry_server.serving(docker_client.version()["Arch"]) as server:
        yield server


@pytest.fixture
def image(docker_client: docker.DockerClient) -> Iterator[str]:
    """An image with nothing that could run."""
    tag = f"contextrl-data/test-push-{os.getpid()}:1"
    context = one_file_context('FROM scratch\nLABEL made="for a test"\nCOPY Dockerfile /hello\n')
    build_image(docker_client, context, tag, {IMAGE_LABEL: "test"})
    yield tag
    docker_client.images.remove(tag, force=True)


def test_an_image_is_pushed_once_and_a_node_pulls_it(
    docker_client: docker.DockerClient,
    registry: registry_server.Server,
    image: str,
    kube_backend: KubernetesBackend,
    run_id: str,
) -> None:
    backend = kube_backend.model_copy(update={"image_prefix": f"{registry.host}/team"})
    name = backend.image_name(image)
    assert name == f"{registry.host}/team/{image}"
    push_image(docker_client, image, name)
    sent = registry.taken
    assert sent >= 2, "a layer and a config"
    assert f"/v2/team/{image.replace(':', '/manifests/')}" in registry.pushed
    assert not image_exists(docker_client, name), "the second name is gone from here"
    assert image_exists(docker_client, image)
    push_image(docker_client, image, name)
    assert registry.taken == sent
    try:
        with closing(connect_host(backend)) as host, pytest.raises(UnusableTask, match="image does not start"):
            start_sandbox(host, image, SandboxConfig(), run_id)
        assert image_exists(docker_client, name), "the node pulled it"
    finally:
        if image_exists(docker_client, name):
            docker_client.api.remove_image(name, force=True)


def test_a_registry_that_takes_nothing_stops_the_build(docker_client: docker.DockerClient, image: str) -> None:
    with pytest.raises(SetupError, match="docker login"):
        push_image(docker_client, image, f"127.0.0.1:1/team/{image}")
    assert image_exists(docker_client, image)


def test_a_build_that_began_on_docker_finds_its_images_in_the_cluster(
    docker_client: docker.DockerClient,
    registry: registry_server.Server,
    image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # the image is noted as ours
    parts = {"filename": "made.tar.gz", "sha256": "0" * 64, "repo": "o/made", "licence": "MIT", "package_dir": "made"}
    spec = PackageSpec.model_validate({"name": "made", "version": "1", "tests": ("tests",), **parts})
    done: Any = Listed([{"id": spec.id, "image": image}])

    def resumed(**backend: Any) -> None:
        to = KubernetesBackend.model_validate(
            {"kind": "kubernetes", "image_prefix": f"{registry.host}/team", **backend}
        )
        Packages(PackagesConfig(packages=(spec,))).on(to).restore(done)

    Packages(PackagesConfig(packages=(spec,))).restore(done)
    resumed(push=False)
    resumed(image_prefix="")
    assert registry.pushed == {}
    resumed()
    assert f"/v2/team/{image.replace(':', '/manifests/')}" in registry.pushed
    sent = registry.taken
    resumed()
    assert registry.taken == sent, "what is there already is not sent again"
    assert image_exists(docker_client, image)
