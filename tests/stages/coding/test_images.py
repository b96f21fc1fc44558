"""Package images, built for real from the base image, and how the base image's source is found."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contextrl_data.pipeline.errors import InputError, RowFailure, SetupError
from contextrl_data.stages.coding import base_image
from contextrl_data.stages.coding.image_build import raise_errors_of
from contextrl_data.stages.coding.images import (
    BASE_TAG,
    build_package_image,
    ensure_base,
    image_exists,
    package_tag,
)
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig

if TYPE_CHECKING:
    import docker


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "src" / "pkg").mkdir(parents=True)
    (folder / "src" / "pkg" / "__init__.py").write_text("import answers\nVALUE = answers.ANSWER\n")
    (folder / "setup.py").write_text("raise SystemExit('a source must not be asked how to build itself')\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("run.sh")
    (folder / "src" / "__pycache__").mkdir()
    (folder / "src" / "__pycache__" / "x.pyc").write_bytes(b"1")
    return folder


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel, made by hand as it is only a zip."""
    path = tmp_path / "answers-1.0-py3-none-any.whl"
    files = {
        "answers.py": "ANSWER = 42\n",
        "answers-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: answers\nVersion: 1.0\n",
        "answers-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, "answers-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, "answers-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def tag(docker_client: docker.DockerClient, base_image: str) -> Iterator[str]:
    name = f"contextrl-data/test-images-{os.getpid()}:1"
    yield name
    if image_exists(docker_client, name):
        docker_client.images.remove(name, force=True)


@pytest.mark.docker
def test_a_package_is_importable_committed_and_owned_by_the_agent(
    docker_client: docker.DockerClient, source: Path, wheel: Path, tag: str, run_id: str
) -> None:
    assert build_package_image(docker_client, tag, source, [wheel], pythonpath="/testbed/src") == tag
    with Sandbox(docker_client, tag, SandboxConfig(), run_id) as sandbox:
        assert sandbox.exec("python3 -c 'import pkg; print(pkg.VALUE)'").output == "42\n"
        assert sandbox.exec("id -un; stat -c '%U %a' run.sh; readlink link").output == "agent\nagent 755\nrun.sh\n"
        assert sandbox.exec("git log --format='%an %ad %s'; git status --short").output == (
            "contextrl-data Sat Jan 1 00:00:00 2000 +0000 base\n"
        )
        assert "__pycache__" not in sandbox.exec("git ls-files").output
        assert sandbox.exec("touch new && echo 1 >>run.sh && git diff --stat | wc -l").output == "2\n"


@pytest.mark.docker
def test_the_same_content_is_built_once_and_other_content_anew(
    docker_client: docker.DockerClient, source: Path, tag: str
) -> None:
    said: list[str] = []

    def build() -> str:
        build_package_image(docker_client, tag, source, [], progress=said.append)
        return str(docker_client.images.get(tag).id)

    first = build()
    os.utime(source / "setup.py", (1, 1))
    assert build() == first
    assert len(said) == 1
    (source / "setup.py").write_text("# other\n")
    assert build() != first


@pytest.mark.docker
def test_a_build_that_fails_leaves_no_image(docker_client: docker.DockerClient, source: Path, tag: str) -> None:
    broken = source.parent / "broken-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip")
    before = len(docker_client.images.list(all=True, filters={"dangling": True}))
    with pytest.raises(RowFailure, match=f"building image {tag}"):
        build_package_image(docker_client, tag, source, [broken])
    assert not image_exists(docker_client, tag)
    assert len(docker_client.images.list(all=True, filters={"dangling": True})) <= before


def test_the_tag_follows_the_content(source: Path, wheel: Path) -> None:
    first = package_tag("Pkg-1.0", source, [wheel])
    assert first == package_tag("Pkg-1.0", source, [wheel])
    assert first.startswith("contextrl-data/pkg-1.0:")
    assert first != package_tag("Pkg-1.0", source, [])
    assert first != package_tag("Pkg-1.0", source, [wheel], pythonpath="/testbed/src")
    (source / "setup.py").chmod(0o755)
    assert first != package_tag("Pkg-1.0", source, [wheel])


def test_a_source_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing-here"):
        package_tag("x", tmp_path / "nothing-here", [])
    (tmp_path / "source").mkdir()
    os.mkfifo(tmp_path / "source" / "pipe")
    with pytest.raises(InputError, match="neither file, folder nor link"):
        package_tag("x", tmp_path / "source", [])


@pytest.mark.docker
def test_an_existing_base_image_is_left_alone(docker_client: docker.DockerClient, base_image: str) -> None:
    before = docker_client.images.get(BASE_TAG).id
    said: list[str] = []
    assert ensure_base(docker_client, said.append) == BASE_TAG == base_image
    assert not said
    assert docker_client.images.get(BASE_TAG).id == before


@pytest.mark.docker
def test_the_base_image_has_its_tools(docker_client: docker.DockerClient, base_image: str, run_id: str) -> None:
    tools = "bash git python python3 pip patch ps diff find sed ed"
    with Sandbox(docker_client, base_image, SandboxConfig(), run_id) as sandbox:
        assert sandbox.exec(f"for tool in {tools}; do command -v $tool >/dev/null || echo $tool; done").output == ""
        assert sandbox.exec("id -u agent; python --version; python3 -m venv --help | head -1").output.startswith(
            "1000\nPython 3."
        )


@pytest.mark.docker
def test_no_way_to_a_base_image_is_one_line(
    docker_client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tag that is not there, a registry name that cannot exist, and a PATH without debootstrap.
    monkeypatch.setattr(base_image, "BASE_TAG", f"contextrl-data/test-no-base-{os.getpid()}:1")
    monkeypatch.setattr(base_image, "PUBLIC_IMAGE", "registry.invalid/debian:none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError) as caught:
        ensure_base(docker_client)
    assert "no registry answers" in caught.value.problem
    assert "debootstrap" in caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "mirror"),
    [
        ("sources.list", "deb http://mirror.test/debian bookworm main\n", "http://mirror.test/debian"),
        (
            "sources.list",
            "# deb http://no.test/debian x\ndeb [arch=amd64] https://m.test/debian/ x y\n",
            "https://m.test/debian/",
        ),
        (
            "sources.list.d/a.sources",
            "Types: deb\nURIs: http://m.test/debian\nSuites: trixie\n",
            "http://m.test/debian",
        ),
        ("sources.list", "deb http://m.test/ubuntu jammy main\n", ""),
        ("sources.list", "deb http://m.test/debian-security bookworm-security main\n", ""),
    ],
)
def test_the_machines_own_mirror_is_used(tmp_path: Path, name: str, text: str, mirror: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    assert base_image.apt_mirror(tmp_path) == mirror


def test_a_machine_without_apt_leaves_the_choice_to_debootstrap(tmp_path: Path) -> None:
    assert base_image.apt_mirror(tmp_path) == ""


def test_a_full_disk_among_the_builds_messages_is_named() -> None:
    messages = [{"stream": "Step 1"}, {"error": "write /x: no space left on device"}]
    with pytest.raises(SetupError, match="no space left on Docker's disk while building"):
        raise_errors_of(messages, "building")
