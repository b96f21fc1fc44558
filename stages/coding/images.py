"""One image per package: its source in /testbed under git with one commit, its tests' wheels, and no network."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.coding.base_image import BASE_TAG, ensure_base
from contextrl_data.stages.coding.daemon import charged_to_docker
from contextrl_data.stages.coding.environment import ENVIRONMENT
from contextrl_data.stages.coding.image_build import (
    IMAGE_LABEL,
    Progress,
    build_image,
    image_exists,
    remove_untagged,
)

if TYPE_CHECKING:
    import docker

__all__ = ["BASE_TAG", "build_package_image", "ensure_base", "image_exists", "package_tag"]

CONTENT_LABEL = "contextrl-data.content"
LEFT_OUT = {".git", ".hg", ".tox", "__pycache__", ".pytest_cache"}
AGENT = 1000  # uid and gid of the base image's user

DOCKERFILE = """\
FROM {base}
COPY wheels /tmp/wheels
RUN if ls /tmp/wheels/*.whl >/dev/null 2>&1; then \
pip install --quiet --no-index --no-cache-dir --break-system-packages /tmp/wheels/*.whl; fi && rm -rf /tmp/wheels
COPY --chown={agent}:{agent} source /testbed
ENV PYTHONPATH={pythonpath}
WORKDIR /testbed
USER agent
RUN env {env} sh -c 'git init -q && git add -A -f && git commit -q --allow-empty -m base'
"""


def build_package_image(
    client: docker.DockerClient,
    tag: str,
    source_dir: Path,
    wheels: Sequence[Path],
    *,
    pythonpath: str = "/testbed",
    base: str = BASE_TAG,
    progress: Progress = lambda line: None,
) -> str:
    """Build the image and return its tag; nothing is done where the tag already has this very content.

    `pythonpath` makes the source importable without installing it: `/testbed`, or `/testbed/src`. Whatever the
    source says about building itself is never run. The container's user is `agent`, who owns /testbed.
    """
    context = _context(source_dir, wheels, pythonpath, base)
    content = hashlib.sha256(context).hexdigest()
    before, built_from = _existing(client, tag)
    if built_from == content:
        return tag
    if base == BASE_TAG:
        ensure_base(client, progress)
    progress(f"building {tag}")
    build_image(client, context, tag, {IMAGE_LABEL: "package", CONTENT_LABEL: content}, network_mode="none")
    if before:
        remove_untagged(client, before)
    return tag


def package_tag(name: str, source_dir: Path, wheels: Sequence[Path], *, pythonpath: str = "/testbed") -> str:
    """Return a tag that is the same for the same content: `contextrl-data/<name>:<hash>`."""
    content = hashlib.sha256(_context(source_dir, wheels, pythonpath, BASE_TAG)).hexdigest()
    return f"contextrl-data/{name.lower()}:{content[:12]}"


def _existing(client: docker.DockerClient, tag: str) -> tuple[str, str]:
    """Return the id of the tagged image and the content that it was built from; empty where there is none."""
    from docker.errors import ImageNotFound

    with charged_to_docker(f"looking for image {tag}"):
        try:
            image = client.api.inspect_image(tag)
        except ImageNotFound:
            return "", ""
    return image["Id"], str((image["Config"]["Labels"] or {}).get(CONTENT_LABEL, ""))


def _context(source_dir: Path, wheels: Sequence[Path], pythonpath: str, base: str) -> bytes:
    """Pack the build context, byte for byte the same for the same content."""
    if not source_dir.is_dir():
        raise InputError(f"no source folder at {source_dir}", "unpack the package first")
    buffer = io.BytesIO()
    env = " ".join(f"'{key}={value}'" for key, value in sorted(ENVIRONMENT.items()) if key.startswith("GIT_"))
    dockerfile = DOCKERFILE.format(base=base, agent=AGENT, pythonpath=pythonpath, env=env)
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile.encode())
        archive.addfile(info, io.BytesIO(dockerfile.encode()))
        _add_folder(archive, "wheels")
        for wheel in sorted(wheels, key=lambda each: each.name):
            _add(archive, wheel, f"wheels/{wheel.name}")
        _add_folder(archive, "source")
        for path in _tree(source_dir):
            _add(archive, path, f"source/{path.relative_to(source_dir).as_posix()}")
    return buffer.getvalue()


def _tree(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _tree(path)


def _add_folder(archive: tarfile.TarFile, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(info)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    info = archive.gettarinfo(path, name)
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    if info.isreg():
        with path.open("rb") as content:
            archive.addfile(info, content)
    elif info.isdir() or info.issym():
        archive.addfile(info)
    else:
        raise InputError(f"{path} is neither file, folder nor link", "remove it from the package's source")
