"""What a pod's status says: it runs, it cannot start, or it ended, and whose doing that was.

A pod that ended is never a result. Where the cluster ended it (memory, eviction, a lost node, its deadline), the row
fails on the boundary `kubernetes` and comes back; where its own program did, on `sandbox`, as with Docker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contextrl_data.pipeline.errors import RowFailure, SetupError
from contextrl_data.stages.coding.faults import UnusableTask
from contextrl_data.stages.coding.pull import OWN_IMAGES

OWN_DISK = ("ephemeral local storage usage exceeds", "exceeded its local ephemeral storage limit")
"""What the kubelet says of a pod that wrote too much itself; other evictions are the node's doing."""
ABSENT = ("not found", "manifest unknown", "does not exist", "notfound", "repository name not known", "no such image")
DID_NOT_START = {"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"}


@dataclass(frozen=True)
class End:
    """Why a pod is no more."""

    boundary: str
    message: str
    full_disk: bool = False
    """Its own program wrote more than it may."""


def end_of(pod: Any | None) -> End | None:
    """Why a pod ended, or None where it lives; `pod` is None where the cluster does not know it any more."""
    if pod is None:
        return End("kubernetes", "the pod was removed")
    status, state = pod.status, _terminated(pod)
    if status.reason == "Evicted":
        full = any(words in (status.message or "") for words in OWN_DISK)
        return End("sandbox" if full else "kubernetes", f"the pod was evicted: {_short(status.message)}", full)
    if status.phase in ("Failed", "Unknown") and status.reason:
        return End("kubernetes", f"the pod ended: {status.reason}: {_short(status.message)}")
    for condition in status.conditions or []:
        if condition.type == "DisruptionTarget" and condition.status == "True":
            return End("kubernetes", f"the pod was disrupted: {condition.reason}: {_short(condition.message)}")
        if condition.type == "Ready" and (condition.status == "Unknown" or condition.reason == "NodeStatusUnknown"):
            return End("kubernetes", f"the pod's node is lost: {_short(condition.message or condition.reason)}")
    if state is not None and state.reason == "OOMKilled":
        return End("kubernetes", "the pod was killed for its memory (OOMKilled)")
    if pod.metadata.deletion_timestamp is not None:
        return End("kubernetes", "the pod is being removed")
    if state is not None or status.phase in ("Succeeded", "Failed"):
        return End("sandbox", "the container ended while it was in use")
    return None


def has_started(pod: Any | None, image: str, name: str) -> bool:
    """Whether the container runs; `name` is what the node pulls `image` under.

    Raises:
        UnusableTask: the image is not there, or has nothing to run.
        SetupError: the pod may not run as it is, and no other will.
        RowFailure: the pod ended before it began.
    """
    waiting = _waiting(pod)
    if waiting is not None:
        said = f"{waiting.reason}: {_short(waiting.message)}"
        if waiting.reason in ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"):
            _check_absent(image, name, waiting.message or waiting.reason)
        elif waiting.reason == "InvalidImageName":
            raise RowFailure("registry", f"{name}: {said}")
        elif waiting.reason == "CreateContainerConfigError":
            raise SetupError(
                f"a pod of {name} may not run ({said})",
                "set backend.run_as_user to an id that is not 0 (1000 for images made here)",
            )
        elif waiting.reason in DID_NOT_START:
            raise UnusableTask("image does not start", f"{image}: {said}")
        return False
    state = _terminated(pod)
    if state is not None and state.reason in DID_NOT_START:
        raise UnusableTask("image does not start", f"{image}: {_short(state.message)}")
    end = end_of(pod)
    if end is not None:
        raise RowFailure("kubernetes", f"{end.message}, before it began")
    return bool(pod is not None and pod.status.phase == "Running" and _running(pod))


def why_pending(pod: Any | None) -> str:
    """What a pod that does not start waits for."""
    waiting = _waiting(pod)
    if waiting is not None and waiting.reason not in ("ContainerCreating", "PodInitializing"):
        return f"{waiting.reason}: {_short(waiting.message)}"
    for condition in (pod.status.conditions if pod is not None else None) or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"no node takes it: {_short(condition.message)}"
    return "its node gives no reason"


def _check_absent(image: str, name: str, said: str) -> None:
    if not any(words in said.lower() for words in ABSENT):
        return  # a registry out of reach: the kubelet tries again
    if image.startswith(OWN_IMAGES):
        raise RowFailure("image", f"{name} is not in its registry; push it (docs/cluster.md): {_short(said)}")
    raise UnusableTask("image not found", f"{name} ({_short(said)})")


def _state(pod: Any | None) -> Any | None:
    statuses = pod.status.container_statuses if pod is not None else None
    return statuses[0].state if statuses else None


def _waiting(pod: Any | None) -> Any | None:
    state = _state(pod)
    return state.waiting if state is not None and state.waiting is not None and state.waiting.reason else None


def _terminated(pod: Any | None) -> Any | None:
    state = _state(pod)
    return state.terminated if state is not None else None


def _running(pod: Any) -> bool:
    state = _state(pod)
    return state is not None and state.running is not None


def _short(text: str | None) -> str:
    return " ".join((text or "").split())[:300]
