"""The base image: a small Debian with bash, git and Python, pulled where a registry answers, else made here.

Both ways end under the same tag, and nothing appears under it before it is whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import RowFailure, SetupError
from contextrl_data.stages.coding.daemon import NO_SPACE, charged_to_docker, no_space
from contextrl_data.stages.coding.image_build import (
    BUILD_SILENCE,
    IMAGE_LABEL,
    Progress,
    build_image,
    image_exists,
    one_file_context,
    patient_api,
    raise_errors_of,
)

if TYPE_CHECKING:
    import docker

BASE_TAG = "contextrl-data/base:bookworm"
SUITE = "bookworm"
PUBLIC_IMAGE = "debian:bookworm-slim"
PACKAGES = [
    "bash",
    "ca-certificates",
    "diffutils",
    "ed",
    "findutils",
    "git",
    "patch",
    "procps",
    "python3",
    "python3-pip",
    "python3-venv",
    "sed",
]
SET_UP = (
    "ln -sf python3 /usr/bin/python"
    " && useradd --create-home --uid 1000 --shell /bin/bash agent"
    " && install -d -o agent -g agent /testbed"
    " && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /usr/share/doc/* /usr/share/man/* /var/log/*"
)
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}

PULL_SILENCE = 20
"""Seconds without a word from the registry before it counts as out of reach."""
DEBOOTSTRAP_DEADLINE = 1800


def ensure_base(client: docker.DockerClient, progress: Progress = lambda line: None) -> str:
    """Return the base image's tag, making the image first where it is missing."""
    with _one_at_a_time():
        if image_exists(client, BASE_TAG):
            return BASE_TAG
        if not _from_registry(client, progress):
            _from_packages(client, progress)
    return BASE_TAG


def _from_registry(client: docker.DockerClient, progress: Progress) -> bool:
    progress(f"looking for {PUBLIC_IMAGE} in the registry")
    run = (
        f"apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
        f" {' '.join(PACKAGES)} && {SET_UP}"
    )
    env = " ".join(f"{key}={value}" for key, value in ENV.items())
    context = one_file_context(f'FROM {PUBLIC_IMAGE}\nENV {env}\nRUN {run}\nCMD ["bash"]\n')
    try:
        with charged_to_docker(f"pulling {PUBLIC_IMAGE}"), patient_api(PULL_SILENCE) as api:
            repository, _, tag = PUBLIC_IMAGE.partition(":")
            raise_errors_of(api.pull(repository, tag=tag, stream=True, decode=True), f"pulling {PUBLIC_IMAGE}")
        progress("adding packages to it")
        build_image(client, context, BASE_TAG, {IMAGE_LABEL: "base"})
    except RowFailure as failure:
        progress(f"not from the registry ({failure.message[:120]})")
        return False
    return True


def _from_packages(client: docker.DockerClient, progress: Progress) -> None:
    remedy = f"as root on Debian `apt-get install debootstrap`, or `docker pull` / load an image tagged {BASE_TAG}"
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        lacking = "debootstrap is not installed" if os.geteuid() == 0 else "making one needs root"
        raise SetupError(f"no base image: no registry answers and {lacking}", remedy)
    progress(f"making Debian {SUITE} from its packages with debootstrap (about a minute)")
    with tempfile.TemporaryDirectory(prefix="contextrl-data-base-") as scratch:
        root = Path(scratch) / "root"
        _debootstrap(root, remedy)
        progress("importing it into Docker")
        _import(client, root)


def _debootstrap(root: Path, remedy: str) -> None:
    command = [
        "debootstrap",
        "--force-check-gpg",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        SUITE,
        str(root),
    ]
    mirror = apt_mirror(Path("/etc/apt"))
    if mirror:
        command.append(mirror)
    # debootstrap mounts /proc below the root; in a mount namespace of its own that cannot outlive it, so that
    # removing the scratch folder never walks into a live file system.
    if shutil.which("unshare"):
        command = ["unshare", "--mount", "--propagation", "private", *command]
    log = root.parent / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            code = process.wait(DEBOOTSTRAP_DEADLINE)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise SetupError(f"debootstrap did not end in {DEBOOTSTRAP_DEADLINE} seconds", remedy) from None
            raise
    if code == 0:
        done = subprocess.run(["chroot", str(root), "sh", "-c", SET_UP], capture_output=True, env=ENV, check=False)
        code, tail = done.returncode, done.stderr.decode(errors="replace")
    else:
        tail = log.read_text(errors="replace")
    if code != 0:
        if NO_SPACE in tail.lower():
            raise no_space("making the base image")
        raise SetupError(f"debootstrap failed: {(tail.strip().splitlines() or ['no message'])[-1][:200]}", remedy)


def _import(client: docker.DockerClient, root: Path) -> None:
    """Import under a passing tag first: a stream that breaks off can still make an image."""
    passing = f"making-{os.getpid()}"
    repository, _, tag = BASE_TAG.partition(":")
    kept_out = ["./proc/*", "./sys/*", "./dev/*", "./run/*", "./tmp/*"]
    command = [
        "tar",
        "-C",
        str(root),
        "-c",
        "--numeric-owner",
        *[f"--exclude={each}" for each in kept_out],
        ".",
    ]
    changes = [
        *[f"ENV {key}={value}" for key, value in ENV.items()],
        f"LABEL {IMAGE_LABEL}=base",
        'CMD ["bash"]',
    ]
    with (
        charged_to_docker("importing the base image"),
        patient_api(BUILD_SILENCE) as api,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as packer,
    ):
        answer = api.import_image_from_stream(packer.stdout, repository=repository, tag=passing, changes=changes)
        lines = [json.loads(line) for line in answer.splitlines() if line.strip()]
        try:
            raise_errors_of(lines, "importing the base image")
            if packer.wait() != 0:
                raise SetupError("the base image could not be packed", "free some disk space and try again")
            client.api.tag(f"{repository}:{passing}", repository, tag)
        finally:
            if image_exists(client, f"{repository}:{passing}"):
                client.api.remove_image(f"{repository}:{passing}")


def apt_mirror(apt: Path) -> str:
    """Return the Debian mirror that this machine's own apt uses; empty leaves the choice to debootstrap."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if words[:1] in (["deb"], ["URIs:"]):
                for word in words[1:]:
                    if "://" in word and word.rstrip("/").endswith("/debian"):
                        return word
    return ""


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let one process of this user make the image while the others wait for it."""
    path = Path(tempfile.gettempdir()) / f"contextrl-data-base-{os.getuid()}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
