"""What this machine lacks for a build, and the remedy of each lack; nothing is changed, and no secret is read out."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.text import Text

from contextrl_data.pipeline.errors import first_line

if TYPE_CHECKING:
    import docker
    from rich.console import Console

BASE_TAG = "contextrl-data/base:bookworm"  # as stages.coding.base_image says; a test compares them
SPACE_GB = 10
EXTRAS: dict[str, tuple[str, ...]] = {
    "coding": ("docker", "swebench", "minisweagent", "litellm", "mcp", "unidiff", "sklearn", "datasketch"),
    "sentence": ("sentence_transformers",),
    "images": (
        *("PIL", "matplotlib", "vega_datasets", "torch", "efficientnet_lite_pytorch"),
        *("diffusers", "transformers", "skimage", "imagehash"),
    ),
    "clip": ("open_clip", "torchvision"),
    "audit": ("sklearn", "datasketch", "PIL", "imagehash"),
    "train": ("torch", "trl", "transformers", "accelerate", "peft"),
    "publish": ("huggingface_hub", "kingfisher_sdk", "license_expression"),
    "ray": ("ray",),
    "kubernetes": ("kubernetes", "websocket"),
}
"""Modules by which an extra is known to be installed."""
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN")
"""Environment variables whose presence, never whose value, is told."""
FAISS_BUILDS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12", "faiss-gpu-cuvs")


@dataclass(frozen=True)
class Check:
    """One finding. `fail` stops the default build, `warn` stops or weakens only a part that may not be wanted."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def diagnose(folder: Path | None = None) -> list[Check]:
    """Look at everything a build may need; `folder` is where the runs lie (the current one by default)."""
    checks = [check_python(), *check_space(folder or Path.cwd()), check_git()]
    checks += check_docker()
    checks += [check_extra(name, modules) for name, modules in EXTRAS.items()]
    checks += [
        check_faiss([each for each in FAISS_BUILDS if _installed(each)]),
        check_keys(os.environ),
        check_gpu(),
    ]
    return checks


def show(checks: Sequence[Check], console: Console) -> None:
    """Print one line a check, and the remedy under each lack."""
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    width = max(len(check.name) for check in checks)
    for check in checks:
        console.print(
            Text.assemble((f"{check.state:4}", colours[check.state]), f"  {check.name:{width}}  {check.detail}"),
            soft_wrap=True,
        )
        if check.remedy:
            console.print(Text(f"      {'':{width}}  -> {check.remedy}"), soft_wrap=True)


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Python itself."""
    text = ".".join(map(str, version))
    if version < (3, 11):
        return Check("python", "fail", text, "use Python 3.11 or newer")
    return Check("python", "ok", text)


def check_space(runs: Path) -> list[Check]:
    """Free space for the runs, and for what is unpacked on the way."""
    return [
        _space_at("disk for runs", runs, SPACE_GB),
        _space_at("disk for temporary files", Path(tempfile.gettempdir()), 2),
    ]


def _space_at(name: str, place: Path, wanted: float) -> Check:
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    state: Literal["ok", "warn", "fail"] = "ok" if free >= wanted else "warn" if free >= wanted / 10 else "fail"
    remedy = "" if state == "ok" else f"free some: about {wanted:g} GB are wanted there"
    return Check(name, state, f"{free:.1f} GB free at {place}", remedy)


def check_git() -> Check:
    """Git on this machine: it names the commit in each run's manifest."""
    if shutil.which("git"):
        return Check("git", "ok", "installed")
    return Check("git", "warn", "not installed", "apt-get install git")


def check_docker() -> list[Check]:
    """Docker from the client package to the limits that the kernel enforces."""
    if util.find_spec("docker") is None:
        return [
            Check(
                "docker client",
                "fail",
                "the Python package is missing",
                "pip install 'contextrl-data[coding]'",
            )
        ]
    found = [Check("docker client", "ok", f"docker {metadata.version('docker')}")]
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=15)
        info = client.info()
    except (DockerException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        remedy = "start it, or set DOCKER_HOST; `make setup` installs it on Debian as root"
        return [*found, Check("docker", "fail", f"does not answer ({reason})", remedy)]
    try:
        found.append(Check("docker", "ok", f"{info.get('ServerVersion')} ({info.get('Driver')})"))
        found.append(check_limits(info))
        found.append(check_base_image(client))
        root = Path(str(info.get("DockerRootDir", "")))
        if root.is_absolute() and root.exists() and "DOCKER_HOST" not in os.environ:
            found.append(_space_at("disk for docker", root, SPACE_GB))
    finally:
        client.close()
    return found


def check_limits(info: dict[str, object]) -> Check:
    """Whether the kernel enforces the sandbox's limits: without them one bad task takes the machine down."""
    wanted = {"MemoryLimit": "memory", "PidsLimit": "pids", "CpuCfsQuota": "cpu"}
    # Where the engine does not speak of a limit (Podman), only the container itself could tell.
    lacking = [name for key, name in wanted.items() if info.get(key) is False]
    version = f"cgroup v{info.get('CgroupVersion', '?')}"
    if lacking:
        return Check(
            "cgroup limits",
            "fail",
            f"{', '.join(lacking)} not enforced ({version})",
            "enable these controllers in the kernel's command line or the container runtime",
        )
    return Check("cgroup limits", "ok", version)


def check_base_image(client: docker.DockerClient) -> Check:
    """The image under all package images; a build makes it by itself where it can."""
    from docker.errors import DockerException, ImageNotFound

    try:
        client.api.inspect_image(BASE_TAG)
    except ImageNotFound:
        if os.geteuid() == 0 and shutil.which("debootstrap"):
            return Check("base image", "ok", f"{BASE_TAG} is not there yet; a build makes it")
        remedy = "a build pulls it; where no registry answers: as root, apt-get install debootstrap"
        return Check("base image", "warn", f"{BASE_TAG} is not there yet", remedy)
    except (DockerException, OSError) as error:
        return Check("base image", "fail", first_line(error, 160), "see Docker's own log")
    return Check("base image", "ok", BASE_TAG)


def check_extra(name: str, modules: Sequence[str]) -> Check:
    """Whether an optional part is installed; only `coding` is needed by the default build."""
    lacking = [module for module in modules if util.find_spec(module) is None]
    title = f"extra [{name}]"
    if not lacking:
        return Check(title, "ok", "installed")
    state: Literal["warn", "fail"] = "fail" if name == "coding" else "warn"
    return Check(title, state, f"lacks {', '.join(lacking)}", f"pip install 'contextrl-data[{name}]'")


def check_faiss(builds: Sequence[str]) -> Check:
    """Both builds of faiss install the same package; pip lets them meet, and one breaks the other."""
    if len(builds) > 1:
        remedy = f"pip uninstall -y {' '.join(builds)}, then install one of them"
        return Check("faiss", "fail", f"{' and '.join(builds)} are installed over each other", remedy)
    return Check("faiss", "ok", builds[0] if builds else "not installed (only image mining can use it)")


def check_keys(environ: Mapping[str, str]) -> Check:
    """Which keys are set. The default build needs none."""
    present = [key for key in KEYS if environ.get(key)]
    return Check("keys", "ok", f"set: {', '.join(present)}" if present else "none set; the default build needs none")


def check_gpu() -> Check:
    """The GPU, where torch is there to see it."""
    if util.find_spec("torch") is None:
        return Check("gpu", "ok", "not looked for: torch is not installed")
    try:
        torch = import_module("torch")

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(count))
    except (ImportError, OSError, RuntimeError) as error:
        return Check("gpu", "warn", f"torch does not load ({error})"[:200], "reinstall torch for this machine")
    if not count:
        return Check("gpu", "warn", "none visible to torch", "coding builds need none; training and editing do")
    return Check("gpu", "ok", names)


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
