"""The images' disk and its budget, on tiny images in real Docker that only this test has."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import registry_server

from contextrl_data.pipeline.config import load
from contextrl_data.pipeline.errors import ConfigError, SetupError
from contextrl_data.stages.coding import image_disk
from contextrl_data.stages.coding.image_build import image_exists
from contextrl_data.stages.coding.image_disk import bytes_of, disk_of, keep, layers_of, make_room, needed, note_use
from contextrl_data.stages.coding.image_record import opened, record_file
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.docker
SIZE = 200_000


class Made:
    """Images of this test: made, counted, and taken away at its end."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self.name = f"contextrl-test-{uuid.uuid4().hex[:8]}"
        self.tags: list[str] = []

    def one(self, tag: str, below: str = "", size: int = SIZE) -> str:
        """An image with a file of its own, on top of another or of nothing."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            info = tarfile.TarInfo(f"{tag}.bin")
            info.size = size
            archive.addfile(info, io.BytesIO(os.urandom(size)))
        if not below:
            self.client.api.import_image_from_data(packed.getvalue(), repository=self.name, tag=tag)
        else:
            container = self.client.api.create_container(below, ["none"])["Id"]
            self.client.api.put_archive(container, "/", packed.getvalue())
            self.client.api.commit(container, repository=self.name, tag=tag)
            self.client.api.remove_container(container)
        self.tags.append(f"{self.name}:{tag}")
        return self.tags[-1]

    def id(self, image: str) -> str:
        return str(self.client.api.inspect_image(image)["Id"])

    def left(self) -> list[str]:
        found = self.client.api.images(name=self.name)
        return sorted(tag.rpartition(":")[2] for each in found for tag in each["RepoTags"] or [])


@pytest.fixture
def made(docker_client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(image_disk, "_noted", {})
    found = Made(docker_client)
    yield found
    for tag in reversed(found.tags):
        if found.client.api.images(name=tag):
            found.client.api.remove_image(tag, force=True)
    assert found.left() == []


def pulled(made: Made, *images: str) -> None:
    """As if each had been pulled, in this order, and used."""
    for image in images:
        with needed(made.client, image, None):
            pass


def budget(made: Made, *images: str) -> str:
    return f"{disk_of(made.client, [made.id(image) for image in images])}b"


def test_shared_layers_count_once_as_docker_counts_them(made: Made) -> None:
    base = made.one("base")
    first, second = made.one("first", base), made.one("second", base, size=SIZE // 2)
    sizes = [made.client.api.inspect_image(image)["Size"] for image in (base, first, second)]
    together = disk_of(made.client, [made.id(image) for image in (base, first, second)])
    assert sum(sizes) == 4.5 * SIZE
    assert together == 2.5 * SIZE
    assert set(layers_of(made.client, made.id(base))) < set(layers_of(made.client, made.id(first)))
    unique = {each["Id"]: each["Size"] - each["SharedSize"] for each in made.client.api.df()["Images"]}
    assert together - disk_of(made.client, [made.id(base), made.id(second)]) == unique[made.id(first)] == SIZE


def test_the_least_recently_used_go_first_until_the_rest_fits(made: Made) -> None:
    images = [made.one(tag) for tag in ("a", "b", "c", "d")]
    pulled(made, *images)
    note_use(made.client, images[0])  # `a` is the latest now
    assert make_room(made.client, budget(made, *images)) == []
    assert make_room(made.client, budget(made, *images[:2])) == images[1:3]
    assert made.left() == ["a", "d"]
    assert make_room(made.client, None) == []


def test_what_is_not_ours_stays_whatever_the_budget(made: Made) -> None:
    ours, named_twice, strangers = (made.one(tag) for tag in ("ours", "twice", "strangers"))
    pulled(made, ours, named_twice)
    made.client.api.tag(named_twice, made.name, "mine")
    made.tags.append(f"{made.name}:mine")
    assert make_room(made.client, "1b") == [ours]
    assert made.left() == ["mine", "strangers", "twice"]
    assert strangers in made.tags


def test_what_a_container_uses_stays(made: Made) -> None:
    used, idle = made.one("used"), made.one("idle")
    pulled(made, used, idle)
    container = made.client.api.create_container(used, ["none"])["Id"]
    try:
        assert make_room(made.client, "1b") == [idle]
    finally:
        made.client.api.remove_container(container)
    assert make_room(made.client, "1b") == [used]


HOLD = """
import sys
from contextrl_data.stages.coding.daemon import connect
from contextrl_data.stages.coding.image_disk import keep, needed
client = connect()
with needed(client, sys.argv[1], None):
    keep(client, sys.argv[2])
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_another_run_needs_stays_until_that_run_is_dead(made: Made) -> None:
    pulling, built, idle = (made.one(tag) for tag in ("pulling", "built", "idle"))
    pulled(made, idle)
    command = [sys.executable, "-c", HOLD, pulling, built]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert make_room(made.client, "1b") == [idle]
        other.kill()
    assert sorted(make_room(made.client, "1b")) == [built, pulling]


def test_what_this_run_built_stays_and_what_it_pulled_does_not(made: Made) -> None:
    built, other = made.one("built"), made.one("other")
    keep(made.client, built)
    pulled(made, other)
    assert make_room(made.client, "1b") == [other]
    assert made.left() == ["built"]


def test_room_is_made_after_a_pull(made: Made) -> None:
    old, new = made.one("old"), made.one("new")
    pulled(made, old)
    with needed(made.client, new, budget(made, new)):
        assert made.left() == ["new", "old"]
    assert made.left() == ["new"]


@pytest.mark.skipif("DOCKER_HOST" in os.environ, reason="a daemon elsewhere cannot reach this machine's loopback")
def test_a_sandbox_keeps_to_the_budget_of_its_config(made: Made, run_id: str) -> None:
    with registry_server.serving(made.client.version()["Arch"]) as server:
        image, free = f"{server.host}/owner/tiny:1", made.one("free")
        pulled(made, free)
        try:
            Sandbox(made.client, image, SandboxConfig(image_budget="100k"), run_id).close()
            assert image_exists(made.client, image)
        finally:
            if image_exists(made.client, image):
                made.client.api.remove_image(image, force=True)
    assert made.left() == [], "the other one was used before it, and both do not fit"


def test_a_pull_that_fails_leaves_no_note(made: Made) -> None:
    with pytest.raises(RuntimeError, match="no"), needed(made.client, f"{made.name}:none", None):
        raise RuntimeError("no")
    (images,) = json.loads(record_file().read_bytes()).values()
    assert images == {}


def test_images_removed_by_hand_are_forgotten_and_a_spoilt_record_removes_nothing(made: Made) -> None:
    first, second = made.one("first"), made.one("second")
    pulled(made, first, second)
    made.client.api.remove_image(first)
    assert make_room(made.client, "1b") == [second]
    pulled(made, made.one("third"))
    record_file().write_text('{"half": {"a')
    assert make_room(made.client, "1b") == []
    assert made.left() == ["third"]


def test_a_record_that_cannot_be_written_matters_only_to_a_budget(made: Made) -> None:
    image = made.one("one")
    record_file().parent.parent.mkdir(parents=True)
    record_file().parent.write_text("in the way")
    pulled(made, image)
    note_use(made.client, image)
    with pytest.raises(SetupError, match=r"cannot write .*images\.json"):
        make_room(made.client, "1b")


def test_sizes_and_settings() -> None:
    assert [bytes_of(text) for text in ("7", "7b", "2k", "1.5M", "3g")] == [7, 7, 2048, 3 << 19, 3 << 30]
    assert SandboxConfig(image_budget="50g").model_dump() == SandboxConfig().model_dump(), "no part of a key"
    with pytest.raises(ConfigError, match="image_budget"):
        load(SandboxConfig, None, ["image_budget=much"])


def test_doctor_tells_what_images_take(made: Made) -> None:
    pulled(made, made.one("one"))
    (check,) = image_disk.check_images()
    assert check.state == "ok"
    assert "1 pulled for builds" in check.detail
    assert "shared layers counted once" in check.detail
    with opened(image_disk._daemon(made.client)) as images:
        assert [noted.origin for noted in images.values()] == ["pulled"]
