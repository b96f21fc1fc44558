"""Settings of the cluster on which sandboxes run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.coding.pull import OWN_IMAGES


class KubernetesBackend(StageConfig):
    """One pod a sandbox (see docs/cluster.md: a Role, a NetworkPolicy and a registry are needed)."""

    kind: Literal["kubernetes"]
    """Sandboxes are pods."""
    namespace: str = "contextrl-data"
    """Namespace of the pods; keep it for sandboxes alone."""
    kubeconfig: Path | None = None
    """File that names the cluster; by default KUBECONFIG or ~/.kube/config, and inside a pod its service account."""
    context: str | None = None
    """Context of that file; its current one by default."""
    image_prefix: str = ""
    """Registry and folder that images made here (`contextrl-data/...`) are pushed to and pulled from, for example
    `registry.example.org/team`; other images keep their names."""
    push: bool = True
    """Push images made here to `image_prefix`, with the logins of this machine's Docker; otherwise do it yourself."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of the namespace's secrets with registry logins."""
    node_selector: dict[str, str] = Field(default={})
    """Labels of the nodes that pods may run on."""
    tolerations: tuple[dict[str, Any], ...] = ()
    """Taints that pods tolerate, as in a pod's spec."""
    runtime_class: str | None = None
    """Runtime class of the pods, for example the cluster's name for gVisor."""
    run_as_user: int | None = Field(default=None, ge=0)
    """User and group id of every command; the image's own user by default. Namespaces under the `restricted` standard
    want one that is not 0: images made here use 1000."""
    cpu_request: float | None = Field(default=None, gt=0)
    """Cores that a node keeps free for a pod; as many as `sandbox.cpus` allows by default."""
    memory_request: str | None = Field(default=None, pattern=r"^[1-9]\d*[bkmgBKMG]?$")
    """Memory that a node keeps free for a pod; as much as `sandbox.memory` allows by default."""
    start_seconds: int = Field(default=600, ge=1)
    """Most seconds for a pod to start: for a place on a node, for its image."""
    network_policy: Literal["create", "require", "trust"] = "create"
    """The policy that keeps pods off the network: made where it is missing, demanded, or not looked for (`trust`).
    Unless trusted, the first pod also tries the network, since some clusters keep policies and do not enforce them."""

    def image_name(self, image: str) -> str:
        """The name under which a node pulls an image."""
        return (
            f"{self.image_prefix.rstrip('/')}/{image}" if self.image_prefix and image.startswith(OWN_IMAGES) else image
        )
