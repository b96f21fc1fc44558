"""Source archives with tests -> packages that can be broken: an image, the tests that hold, and who runs which line."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from contextrl_data.pipeline.errors import ConfigError, InputError, RunError, SetupError
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Outcome, Row, Rows, Source, StageConfig
from contextrl_data.stages.coding.backend import Host, RunningSandbox, Sandboxed, connect_host, start_sandbox
from contextrl_data.stages.coding.catalogue import DEFAULT_PACKAGES, PYTEST
from contextrl_data.stages.coding.image_disk import keep
from contextrl_data.stages.coding.images import build_package_image, image_exists, package_tag
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend
from contextrl_data.stages.coding.package_spec import Artifact, PackageSpec
from contextrl_data.stages.coding.push import push_image
from contextrl_data.stages.coding.registry import Registry
from contextrl_data.stages.coding.sandbox import SandboxConfig, connect
from contextrl_data.stages.coding.suite import Outcomes, pytest_command, run_probe, run_suite
from contextrl_data.stages.coding.syntax import parse
from contextrl_data.stages.coding.task_rows import PACKAGE
from contextrl_data.stages.coding.unpack import unpack

if TYPE_CHECKING:
    import docker

WORKDIR = "/testbed"
BASE_BYTES, IMAGE_BYTES = 286.3e6, 1.5e6
"""Size of the base image with pytest, and what a package's image adds to it: `docker system df` with 20 of them."""
TRACING = 20.0
"""A traced run may take this many times as long as a plain one."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class PackagesConfig(StageConfig):
    """Settings of `packages`."""

    packages: tuple[PackageSpec, ...] = DEFAULT_PACKAGES
    """The source archives, in order."""
    only: tuple[str, ...] = ()
    """Names of the packages to take of these; empty takes all."""
    wheels: tuple[Artifact, ...] = PYTEST
    """What every image gets."""
    reference_runs: int = Field(default=2, ge=1)
    """How often the clean tests run; only tests that pass each time count."""
    sandbox: SandboxConfig = SandboxConfig()
    """Limits of the containers."""

    @model_validator(mode="after")
    def _only_known(self) -> PackagesConfig:
        known = {spec.name for spec in self.packages}
        if unknown := [name for name in self.only if name not in known]:
            raise ConfigError(f"packages.only names {', '.join(unknown)}", f"known here: {', '.join(sorted(known))}")
        return self

    def chosen(self) -> list[PackageSpec]:
        """The packages that `only` leaves."""
        return [spec for spec in self.packages if not self.only or spec.name in self.only]


@dataclass(frozen=True)
class _Recipe:
    """What a package's image is made of."""

    source: Path
    wheels: list[Path]
    pythonpath: str
    tag: str

    def build(self, client: docker.DockerClient, budget: str | None) -> str:
        image = build_package_image(client, self.tag, self.source, self.wheels, pythonpath=self.pythonpath)
        keep(client, image, budget)
        return image


class Packages(Sandboxed, Source[PackagesConfig]):
    """Pinned packages, built with this machine's Docker and run where sandboxes run."""

    name = "packages"
    version = 1
    schema = PACKAGE

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """As many as are chosen: the reference runs and the traced run of each take a container."""
        count = len(self.config.chosen())
        containers = count * (self.config.reference_runs + 1)
        return Outlook(count, containers=containers, docker_bytes=BASE_BYTES + count * IMAGE_BYTES)

    def open(self, context: Context) -> None:
        """Find Docker, what sandboxes run on, and the index."""
        super().open(context)
        self.client: docker.DockerClient = connect()
        self.host: Host = connect_host(self.backend) if isinstance(self.backend, KubernetesBackend) else self.client
        self.registry = Registry()

    def close(self) -> None:
        """Close the connections."""
        for each in ("client", "host"):
            if hasattr(self, each):
                getattr(self, each).close()

    def items(self) -> Iterator[tuple[str, Outcome]]:
        """Each package in the order of the settings."""
        for spec in self.config.chosen():
            with tempfile.TemporaryDirectory(prefix="contextrl-data-") as folder:
                yield spec.id, self._package(spec, Path(folder))

    def restore(self, rows: Rows) -> None:
        """Build again the images that were removed since, from the same pinned files under the same tags, and push all of
        them where a cluster's nodes pull: the build may have begun on this machine's Docker. What is there is not sent.
        """
        try:
            self.client = connect()
        except SetupError:
            return  # the next stage that needs Docker says so; the others go on without
        with closing(self.client):
            wanted = {row["id"]: str(row["image"]) for row in rows.select(["id", "image"])}
            for image in wanted.values():
                keep(self.client, image)
            self.registry = Registry()
            for spec in self.config.chosen():
                if spec.id in wanted:
                    self._restore(spec, wanted[spec.id])
                    self._delivered(wanted[spec.id])

    def _restore(self, spec: PackageSpec, image: str) -> None:
        if image_exists(self.client, image):
            return
        with tempfile.TemporaryDirectory(prefix="contextrl-data-") as folder:
            recipe = self._recipe(spec, Path(folder))
            if recipe.tag != image:
                raise RunError(
                    f"the image {image} was removed, and this version builds {recipe.tag} in its place",
                    "remove the folder of the stage `packages` in this run's root, and run again",
                )
            recipe.build(self.client, self.config.sandbox.image_budget)

    def _recipe(self, spec: PackageSpec, folder: Path) -> _Recipe:
        archive = self.registry.fetch(spec.name, spec.filename, spec.sha256)
        source = unpack(archive, folder)
        for place in (spec.package_dir, *spec.tests):
            if not (source / place).exists():
                raise InputError(f"{spec.filename} has no {place}", f"correct the entry for {spec.name}")
        machine = str(self.client.info()["Architecture"])
        wheels = [
            self.registry.fetch(wheel.project, wheel.filename, wheel.sha256)
            for wheel in (*self.config.wheels, *spec.wheels)
            if wheel.machine in {"", MACHINES.get(machine, machine)}
        ]
        path = posixpath.normpath(posixpath.join(WORKDIR, spec.python_path))
        return _Recipe(source, wheels, path, package_tag(spec.name, source, wheels, pythonpath=path))

    def _package(self, spec: PackageSpec, folder: Path) -> Outcome:
        recipe = self._recipe(spec, folder)
        image = self._delivered(recipe.build(self.client, self.config.sandbox.image_budget))
        reference = [self._reference(spec, image) for _ in range(self.config.reference_runs)]
        if any(run.state != "ok" for run in reference):
            return Drop("tests do not end in time")
        with self._sandbox(image) as sandbox:
            commit = sandbox.exec("git rev-parse HEAD").output.strip()
            package = posixpath.join(WORKDIR, spec.package_dir)
            args = [*spec.pytest_args, *spec.tests]
            trace, _ = run_probe(sandbox, "lines", args, spec.timeout * TRACING, package)
        if trace is None:
            return Drop("tests cannot be traced")
        return self._row(spec, recipe.source, image, commit, reference, trace)

    def _reference(self, spec: PackageSpec, image: str) -> Outcomes:
        with self._sandbox(image) as sandbox:
            return run_suite(sandbox, pytest_command([*spec.pytest_args, *spec.tests]), spec.timeout)

    def _sandbox(self, image: str) -> RunningSandbox:
        return start_sandbox(self.host, image, self.config.sandbox, self.context.run_id, WORKDIR)

    def _delivered(self, image: str) -> str:
        """The image, where a cluster's nodes can pull it."""
        if isinstance(self.backend, KubernetesBackend) and self.backend.push and self.backend.image_prefix:
            push_image(self.client, image, self.backend.image_name(image))
        return image

    def _row(
        self,
        spec: PackageSpec,
        source: Path,
        image: str,
        commit: str,
        reference: Sequence[Outcomes],
        trace: dict[str, Any],
    ) -> Outcome:
        always = set.intersection(*(run.passed for run in reference))
        ever = set.union(*(run.passed for run in reference))
        # A log line is cut at the first blank, so two tests may come out under one id.
        exact = {test for test in trace["tests"] if not any(c.isspace() for c in test)}
        spaced = {test.split()[0] for test in trace["tests"]} - exact
        tests = sorted((always & exact) - spaced)
        if not tests:
            return Drop("no tests pass")
        row: Row = {
            "id": spec.id,
            "repo": spec.repo,
            "version": spec.version,
            "licence": spec.licence,
            "image": image,
            "workdir": WORKDIR,
            "commit": commit,
            "package_dir": spec.package_dir,
            "python_path": spec.python_path,
            "pytest_args": list(spec.pytest_args),
            "timeout": spec.timeout,
            "test_paths": list(spec.tests),
            "tests": tests,
            "failing": len(set().union(*(run.failed for run in reference)) - ever),
            "flaky": len(ever - always),
            "unusable": len(always - set(tests)),
            "sources": sources(source, spec),
            "coverage": coverage(trace, tests),
        }
        return Keep([row])


def sources(root: Path, spec: PackageSpec) -> list[Row]:
    """The package's modules, without its tests; text that would not come back byte for byte is left out."""
    package = root / spec.package_dir
    found = []
    for path in [package] if package.is_file() else sorted(package.rglob("*.py")):
        name = path.relative_to(root)
        if any(part in {"test", "tests", "testing"} for part in name.parts) or path.name.startswith("test"):
            continue
        if any(name.is_relative_to(test) for test in spec.tests if (root / test) != package):
            continue
        data = path.read_bytes()
        try:
            text = data.decode()
            parse(text)
        except (UnicodeDecodeError, SyntaxError, ValueError):
            continue
        if b"\r" not in data and text.endswith("\n"):
            found.append({"path": name.as_posix(), "text": text})
    return found


def coverage(trace: dict[str, Any], tests: Sequence[str]) -> list[Row]:
    """Line -> reference tests that ran it; lines that already run on import are left out: no test owns them."""
    place = {test: number for number, test in enumerate(tests)}
    found = []
    for file, line, runners in trace["lines"]:
        ran = sorted({place[trace["tests"][n]] for n in runners if n >= 0 and trace["tests"][n] in place})
        if ran and -1 not in runners:
            found.append({"file": file, "line": line, "tests": ran})
    return found
