"""Where sandboxes run, chosen in one place: this machine's Docker, or pods of a Kubernetes cluster.

The stages know a sandbox by `RunningSandbox` alone. Where it runs is no part of a stage's key: what comes out is the
same, so that a build may begin on one machine and go on in a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeAlias

from pydantic import BeforeValidator, Field

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.coding.daemon import connect, reap, swept
from contextrl_data.stages.coding.kubernetes.cluster import Cluster, connect_cluster, swept_pods
from contextrl_data.stages.coding.kubernetes.network import ensure_policy
from contextrl_data.stages.coding.kubernetes.sandbox import PodSandbox
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend
from contextrl_data.stages.coding.sandbox import Result, Sandbox, SandboxConfig

if TYPE_CHECKING:
    import docker


class DockerBackend(StageConfig):
    """Containers of the Docker (or Podman) that this machine reaches; `DOCKER_HOST` is honoured."""

    kind: Literal["docker"] = "docker"
    """Sandboxes are containers."""


def _docker_unless_said(value: Any) -> Any:
    return {"kind": "docker", **value} if isinstance(value, dict) else value


BackendConfig = Annotated[
    DockerBackend | KubernetesBackend, Field(discriminator="kind"), BeforeValidator(_docker_unless_said)
]
"""Settings of whichever backend `kind` names."""


class RunningSandbox(Protocol):
    """What the stages need of a sandbox; a context manager that removes it at the end.

    Every method raises `SandboxOver` once the sandbox is over, and `RowFailure` charged to `boundary` for a fault of
    whatever runs it.
    """

    config: SandboxConfig
    workdir: str

    @property
    def boundary(self) -> str:
        """What is charged with a fault of the surroundings: `docker` or `kubernetes`."""
        ...

    @property
    def usable(self) -> bool:
        """False once closed, and after a timeout or a cap."""
        ...

    def exec(self, command: str, timeout: float = ..., *, workdir: str = ...) -> Result:
        """Run `command` in bash, at most `timeout` seconds."""
        ...

    def put(self, path: str, data: bytes, mode: int = ...) -> None:
        """Write a file; its folder must exist."""
        ...

    def get(self, path: str, limit_bytes: int) -> bytes:
        """Read one regular file of at most `limit_bytes`."""
        ...

    def close(self) -> None:
        """Remove it with everything in it; does nothing the second time."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


Host: TypeAlias = "docker.DockerClient | Cluster"
"""A connection to what sandboxes run on; `close()` lets it go."""


class Sandboxed:
    """Mixed into stages that start sandboxes."""

    backend: DockerBackend | KubernetesBackend = DockerBackend()

    def on(self, backend: DockerBackend | KubernetesBackend) -> Self:
        """Say where they run."""
        self.backend = backend
        return self

    def takes(self) -> Mapping[str, float]:
        """A container on the worker's node; pods run elsewhere. See `Map.takes`."""
        return {"docker": 1.0} if isinstance(self.backend, DockerBackend) else {}


def connect_host(backend: DockerBackend | KubernetesBackend) -> Host:
    """Connect, and raise `SetupError` where sandboxes could not run.

    On Kubernetes that includes a namespace whose pods would have a network. With Docker, what dead processes of this
    machine left goes: on a Ray cluster nobody but the workers of a node could do that.
    """
    if not isinstance(backend, KubernetesBackend):
        client = connect()
        with suppress(RowFailure):  # the first sandbox says what is wrong
            reap(client)
        return client
    cluster = connect_cluster(backend)
    try:
        ensure_policy(cluster)
    except BaseException:
        cluster.close()
        raise
    return cluster


def start_sandbox(
    host: Host,
    image: str,
    config: SandboxConfig,
    run_id: str,
    workdir: str = "/testbed",
    env: Mapping[str, str] | None = None,
) -> RunningSandbox:
    """Start a sandbox with the image's files, on whatever `host` is."""
    kind: Any = PodSandbox if isinstance(host, Cluster) else Sandbox
    started: RunningSandbox = kind(host, image, config, run_id, workdir, env)
    return started


def reap_on(host: Host, run_id: str | None = None) -> int:
    """Remove left sandboxes, of a run or of dead processes, and return how many went."""
    return host.reap(run_id) if isinstance(host, Cluster) else reap(host, run_id)


@contextmanager
def swept_on(backend: DockerBackend | KubernetesBackend) -> Iterator[None]:
    """Remove at the start what dead runs left behind, and at the end whatever this process still holds."""
    with swept_pods(backend) if isinstance(backend, KubernetesBackend) else swept():
        yield
