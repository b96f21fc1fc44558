"""The Docker daemon seen from outside: connecting, charging its faults, and removing what dead runs left behind."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import MissingExtra, RowFailure, SetupError

if TYPE_CHECKING:
    import docker

LABEL = "contextrl-data"
"""Label of every container; its value is the run's id."""
OWNER_LABEL = "contextrl-data.pid"
"""Label that names the process that started the container, so that a later run can tell whether it still lives."""

DAEMON_TIMEOUT = 60
"""Seconds that the daemon may stay silent before a call counts as failed."""

NO_SPACE = "no space left on device"

stopping = threading.Event()
"""Set while a stopped build takes its containers away: no thread of it may start another."""


def connect(timeout: float = DAEMON_TIMEOUT) -> docker.DockerClient:
    """Return a client whose daemon answered; `DOCKER_HOST` is honoured (Podman's socket too)."""
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        raise MissingExtra("coding", "the sandbox") from None
    try:
        client = docker.from_env(timeout=timeout, max_pool_size=64)
        client.ping()
    except (DockerException, OSError) as error:
        address = os.environ.get("DOCKER_HOST", "its default socket")
        raise SetupError(
            f"Docker does not answer at {address} ({_reason(error)})",
            "start Docker or set DOCKER_HOST; `make setup` installs it on Debian as root",
        ) from None
    return client


@contextmanager
def charged_to_docker(doing: str) -> Iterator[None]:
    """Turn any fault of the daemon inside the block into a row failure; a full disk stops the run instead."""
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, OSError) as error:
        message = _first_line(error)
        if NO_SPACE in str(error).lower():
            raise no_space(doing) from None
        raise RowFailure("docker", f"{doing}: {message}") from error


def no_space(doing: str) -> SetupError:
    """Build the error for a full disk: every further row would fail on it too."""
    return SetupError(
        f"no space left on Docker's disk while {doing}", "free some, for instance with `docker system prune`"
    )


def reap(client: docker.DockerClient, run_id: str | None = None) -> int:
    """Remove left containers and return how many went.

    With `run_id`: every container of that run, so call it when the whole run is over, not when one worker is.
    Without: the containers whose owner, a process of this machine, is dead. Those of living runs, of other machines
    and of strangers stay.
    """
    label = LABEL if run_id is None else f"{LABEL}={run_id}"
    with charged_to_docker("listing containers"):
        found = client.api.containers(all=True, filters={"label": [label, OWNER_LABEL]})
    doomed = [each["Id"] for each in found if run_id is not None or owner_is_dead(each["Labels"].get(OWNER_LABEL, ""))]
    return sum(remove_container(client, container) for container in doomed)


@contextmanager
def swept() -> Iterator[None]:
    """Remove at the start what dead runs left behind, and at the end whatever this process still holds.

    Where Docker does not answer nothing happens: the first stage that needs it says so.
    """
    try:
        client = connect()
    except SetupError:
        yield
        return
    stopping.clear()
    try:
        reap(client)
        yield
    except KeyboardInterrupt:
        stopping.set()  # and stays so: whoever stops a build does not wait for its threads
        raise
    finally:
        with suppress(RowFailure):  # an engine that died meanwhile took its containers along
            # A thread that was about to start one when the build was stopped may have got that far meanwhile.
            for _ in range(5):
                if not reap_own(client) + reap(client):  # its own, and those of workers that Ray has killed
                    break
        client.close()


def reap_own(client: docker.DockerClient) -> int:
    """Remove every container that this process started, and return how many there were."""
    with charged_to_docker("listing containers"):
        found = client.api.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner()}"})
    return sum(remove_container(client, each["Id"]) for each in found)


def remove_container(client: docker.DockerClient, container: str) -> bool:
    """Kill and remove a container; true unless it was gone, or going, already."""
    from docker.errors import APIError

    try:
        with charged_to_docker("removing a container"):
            client.api.remove_container(container, force=True, v=True)
    except RowFailure as failure:
        # 404: its time to live ran out. 409: the daemon is removing it at this moment.
        if isinstance(failure.__cause__, APIError) and failure.__cause__.status_code in (404, 409):
            return False
        raise
    return True


def owner() -> str:
    """Name this process for the owner label: machine, boot, process namespace, pid and its start time."""
    return "|".join([platform.node(), _boot(), _namespace(), str(os.getpid()), _started(os.getpid())])


def owner_is_dead(name: str) -> bool:
    """Tell whether the process that `owner()` named is known to be gone."""
    parts = name.split("|")
    if len(parts) != 5 or parts[0] != platform.node() or not parts[3].isdigit():
        return False
    _, boot, namespace, pid, started = parts
    if boot != _boot():
        return True
    # From another namespace (a container that shares the daemon) its processes cannot be seen: leave them be.
    return namespace == _namespace() and (not _alive(int(pid)) or _started(int(pid)) != started)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return the start time in clock ticks since boot: it tells a process from a later one with the same pid."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _reason(error: BaseException) -> str:
    """Say what the system said: the client wraps it three times."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    text = explanation.decode(errors="replace") if isinstance(explanation, bytes) else str(explanation or error)
    return (text.strip().splitlines() or [type(error).__name__])[0][:300]
