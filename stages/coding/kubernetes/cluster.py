"""The cluster seen from outside: connecting, charging its faults, and removing the pods that dead runs left behind."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from contextrl_data.pipeline.errors import MissingExtra, RowFailure, SetupError
from contextrl_data.stages.coding.daemon import owner, owner_is_dead, stopping
from contextrl_data.stages.coding.kubernetes.answers import answer_of, charged_to_kubernetes, over_quota
from contextrl_data.stages.coding.kubernetes.channel import Heard, connect_channels, converse, exec_url
from contextrl_data.stages.coding.kubernetes.pod import CONTAINER, MANAGED, MANAGER, OWNER, OWNER_HASH, RUN
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend

CALL_SECONDS = (10, 60)
"""To connect, and for an answer."""
FORGOTTEN = timedelta(hours=1)
"""After its deadline a pod is nobody's: no living process still waits for it."""


class Cluster:
    """A connection to one namespace; safe for threads."""

    def __init__(self, backend: KubernetesBackend) -> None:
        self.backend = backend
        self._client = _client(backend)
        self.proved = False
        """Whether a pod has tried the network and found none."""
        self.proving = threading.Lock()

    @property
    def api(self) -> Any:
        """The part of the API that pods belong to."""
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self._client)

    @property
    def policies(self) -> Any:
        """The part that network policies belong to."""
        from kubernetes.client import NetworkingV1Api

        return NetworkingV1Api(self._client)

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Create a pod. Its name is ours alone, so that asking twice makes one; a full quota is waited for.

        Raises:
            RowFailure: the cluster failed, or had no room within `start_seconds`.
            SetupError: this user may not, or the namespace takes no such pods.
        """
        name = manifest["metadata"]["name"]
        deadline = time.monotonic() + self.backend.start_seconds
        while True:
            if stopping.is_set():
                raise RowFailure("stopped", "the build is being stopped")
            try:
                with charged_to_kubernetes(f"creating pod {name}"):
                    self.api.create_namespaced_pod(
                        self.backend.namespace, dict(manifest), _request_timeout=CALL_SECONDS
                    )
                return
            except RowFailure as failure:
                status, reason = answer_of(failure)
                if status == 409 and reason == "AlreadyExists":
                    return  # the answer to an earlier try was lost
                # Conflict: two pods were counted against a quota at the same moment.
                if not (status == 409 or over_quota(failure)) or time.monotonic() >= deadline:
                    raise
            time.sleep(1)

    def read(self, name: str) -> Any | None:
        """A pod as it stands; None where there is none."""
        try:
            with charged_to_kubernetes(f"looking at pod {name}"):
                return self.api.read_namespaced_pod(name, self.backend.namespace, _request_timeout=CALL_SECONDS)
        except RowFailure as failure:
            if answer_of(failure)[0] == 404:
                return None
            raise

    def run(self, pod: str, argv: list[str], deadline: float, limit_bytes: int, stdin: bytes = b"") -> Heard:
        """Run a command in a pod until `deadline` (on the monotonic clock).

        Raises:
            Refused: it was not started.
            Lost: nobody knows whether it was.
        """
        configuration = self._client.configuration
        url = exec_url(configuration, self.backend.namespace, pod, CONTAINER, argv, bool(stdin))
        return converse(connect_channels(configuration, url, deadline), deadline, limit_bytes, stdin)

    def remove(self, name: str) -> bool:
        """Remove a pod; true unless it was gone already."""
        try:
            with charged_to_kubernetes(f"removing pod {name}"):
                self.api.delete_namespaced_pod(
                    name, self.backend.namespace, grace_period_seconds=1, _request_timeout=CALL_SECONDS
                )
        except RowFailure as failure:
            if answer_of(failure)[0] in (404, 409):
                return False
            raise
        return True

    def reap(self, run_id: str | None = None) -> int:
        """Remove left pods and return how many went.

        With `run_id`: every pod of that run. Without: the pods of dead processes of this machine, and those of any
        machine that have outlived their own deadline by an hour. Whether another machine's process lives cannot be
        seen from here; its pods end by their deadline.
        """
        found = self._pods("" if run_id is None else f",{RUN}={run_id}")
        doomed = [pod for pod in found if run_id is not None or _is_left(pod)]
        return sum(self.remove(pod.metadata.name) for pod in doomed)

    def reap_own(self) -> int:
        """Remove every pod that this process started, and return how many there were."""
        return sum(self.remove(pod.metadata.name) for pod in self._pods(f",{OWNER_HASH}={_hashed(owner())}"))

    def close(self) -> None:
        """Let the connections go."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def _pods(self, more: str) -> list[Any]:
        with charged_to_kubernetes("listing pods"):
            found = self.api.list_namespaced_pod(
                self.backend.namespace, label_selector=f"{MANAGED}={MANAGER}{more}", _request_timeout=CALL_SECONDS
            )
        # One that is on its way out needs no second push.
        return [pod for pod in found.items if pod.metadata.deletion_timestamp is None]


def connect_cluster(backend: KubernetesBackend) -> Cluster:
    """Return a connection over which the namespace's pods could be listed.

    Raises:
        MissingExtra: the Kubernetes client is not installed.
        SetupError: no cluster answers, or this user may not use the namespace.
    """
    cluster = Cluster(backend)
    try:
        with charged_to_kubernetes(f"listing the pods of namespace {backend.namespace!r}"):
            cluster.api.list_namespaced_pod(backend.namespace, limit=1, _request_timeout=CALL_SECONDS)
    except RowFailure as failure:
        cluster.close()
        raise SetupError(
            f"the Kubernetes cluster does not answer ({failure.message})", "see that `kubectl get pods` works from here"
        ) from None
    except BaseException:
        cluster.close()
        raise
    return cluster


@contextmanager
def swept_pods(backend: KubernetesBackend) -> Iterator[None]:
    """Remove at the start what dead runs left behind, and at the end whatever this process still holds."""
    cluster = connect_cluster(backend)
    stopping.clear()
    try:
        cluster.reap()
        yield
    except KeyboardInterrupt:
        stopping.set()  # and stays so: whoever stops a build does not wait for its threads
        raise
    finally:
        with suppress(RowFailure, SetupError):
            # A thread that was about to start one when the build was stopped may have got that far meanwhile.
            for _ in range(5):
                if not cluster.reap_own():
                    break
        cluster.close()


def new_name(run_id: str) -> str:
    """A pod's name; nobody else has it."""
    return f"contextrl-{re.sub('[^a-z0-9]+', '-', run_id.lower())[:20]}-{secrets.token_hex(8)}"


def marks(run_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations by which a pod's run and owner are known."""
    return {RUN: run_id, OWNER_HASH: _hashed(owner())}, {OWNER: owner()}


def _client(backend: KubernetesBackend) -> Any:
    try:
        from kubernetes import config
        from kubernetes.client import ApiClient, Configuration
    except ImportError as error:
        raise MissingExtra("kubernetes", "a sandbox on Kubernetes") from error
    from urllib3.util import Retry
    from yaml import YAMLError

    configuration = Configuration()
    inside = backend.kubeconfig is None and "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ
    try:
        if inside and backend.context is None:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(
                str(backend.kubeconfig) if backend.kubeconfig else None, backend.context, configuration
            )
    except (config.ConfigException, OSError, YAMLError, ValueError, TypeError, AttributeError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SetupError(
            f"no cluster is configured ({said[:200]})",
            "set KUBECONFIG or backend.kubeconfig, and backend.context where the file has several",
        ) from None
    configuration.connection_pool_maxsize = 64
    configuration.client_side_validation = False  # it refuses answers of servers that are newer or older than itself
    # Every call of ours may be repeated: pods are created under names that are used once.
    configuration.retries = Retry(
        total=5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        backoff_factor=0.2,
        raise_on_status=False,
        retry_after_max=30,
    )
    return ApiClient(configuration)


def _is_left(pod: Any) -> bool:
    if owner_is_dead((pod.metadata.annotations or {}).get(OWNER, "")):
        return True
    born, life = pod.metadata.creation_timestamp, pod.spec.active_deadline_seconds
    if born is None or life is None:
        return False
    return bool(datetime.now(UTC) > born + timedelta(seconds=life) + FORGOTTEN)


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
