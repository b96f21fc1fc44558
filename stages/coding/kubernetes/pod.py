"""The pod of one sandbox: what a container of ours is denied, in Kubernetes' words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contextrl_data.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend
    from contextrl_data.stages.coding.limits import SandboxConfig

MANAGED = "app.kubernetes.io/managed-by"
MANAGER = "contextrl-data"
RUN = "contextrl-data/run"
OWNER_HASH = "contextrl-data/owner"
OWNER = "contextrl-data/owner"
"""Annotation with the owner's whole name, which no label may hold; the label of this name has its hash."""
CONTAINER = "sandbox"
UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def pod_manifest(
    name: str,
    image: str,
    config: SandboxConfig,
    backend: KubernetesBackend,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    env: Mapping[str, str],
) -> dict[str, Any]:
    """The pod's whole manifest.

    What a pod cannot be given here: a bound on processes (the nodes' `podPidsLimit`), and those on open files and
    file size, which every command sets for itself.
    """
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        # A backstop behind `sleep`, which hostile code may stop; it counts from before the image is pulled.
        "activeDeadlineSeconds": config.ttl_seconds + backend.start_seconds,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The pause container is the first process then: it collects dead children, and nobody can kill it.
        "shareProcessNamespace": True,
        "hostname": "sandbox",
        # No name server: what asks for a name hears at once that there is none.
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(image, config, backend, env)],
    }
    if backend.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": each} for each in backend.image_pull_secrets]
    if backend.node_selector:
        spec["nodeSelector"] = dict(backend.node_selector)
    if backend.tolerations:
        spec["tolerations"] = [dict(each) for each in backend.tolerations]
    if backend.runtime_class:
        spec["runtimeClassName"] = backend.runtime_class
    metadata = {"name": name, "labels": {MANAGED: MANAGER, **labels}, "annotations": dict(annotations)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _container(image: str, config: SandboxConfig, backend: KubernetesBackend, env: Mapping[str, str]) -> dict[str, Any]:
    security: dict[str, Any] = {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    user, group = _user(config, backend)
    if user is not None:
        security |= {"runAsUser": user, "runAsGroup": group, "runAsNonRoot": user != 0}
    limits = {
        "cpu": f"{math.ceil(config.cpus * 1000)}m",
        "memory": str(in_bytes(config.memory)),
        "ephemeral-storage": str(config.disk_bytes),
    }
    requests = {**limits, "ephemeral-storage": "0"}
    if backend.cpu_request is not None:
        requests["cpu"] = f"{math.ceil(backend.cpu_request * 1000)}m"
    if backend.memory_request is not None:
        requests["memory"] = str(in_bytes(backend.memory_request))
    return {
        "name": CONTAINER,
        "image": backend.image_name(image),
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", str(config.ttl_seconds)],
        # A missing folder would be made, and a wrong workdir go unnoticed.
        "workingDir": "/",
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "resources": {"limits": limits, "requests": requests},
        "securityContext": security,
    }


def _user(config: SandboxConfig, backend: KubernetesBackend) -> tuple[int | None, int | None]:
    """User and group id; Kubernetes knows numbers only."""
    if not config.user:
        return backend.run_as_user, backend.run_as_user
    found = re.fullmatch(r"(\d+)(?::(\d+))?", config.user)
    if found is None:
        raise ConfigError(
            f"sandbox.user is {config.user!r}, and a pod takes numbers only", "give its user id, e.g. 1000"
        )
    return int(found[1]), int(found[2] or found[1])


def in_bytes(size: str) -> int:
    """`512m`, `1g`, ... in bytes."""
    number, unit = re.fullmatch(r"(\d+)([bkmg]?)", size.lower()).groups()  # type: ignore[union-attr]  # settings hold it
    return int(number) * UNITS[unit]
