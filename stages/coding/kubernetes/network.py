"""That pods have no network: the policy that says so, and a try from inside, since not every cluster enforces it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contextrl_data.pipeline.errors import RowFailure, SetupError
from contextrl_data.stages.coding.kubernetes.answers import charged_to_kubernetes
from contextrl_data.stages.coding.kubernetes.channel import Heard
from contextrl_data.stages.coding.kubernetes.cluster import CALL_SECONDS, Cluster
from contextrl_data.stages.coding.kubernetes.pod import MANAGED, MANAGER

POLICY = "contextrl-data-no-network"
OPEN = 3
# The address that every pod is told of. A policy reaches some nodes a little after the pod does: three tries.
DIAL = f"""\
test -n "${{KUBERNETES_SERVICE_HOST-}}" || exit 0
command -v timeout >/dev/null || exit 4
for try in 1 2 3; do
  timeout 3 bash -c '</dev/tcp/$KUBERNETES_SERVICE_HOST/$KUBERNETES_SERVICE_PORT' 2>/dev/null || exit 0
  sleep 2
done
exit {OPEN}
"""


def ensure_policy(cluster: Cluster) -> None:
    """See that a policy of the namespace denies our pods all traffic; make it where settings allow.

    Raises:
        SetupError: there is none, and it was not to be made or could not be.
    """
    wanted, namespace = cluster.backend.network_policy, cluster.backend.namespace
    if wanted == "trust":
        return
    with charged_to_kubernetes(f"listing the network policies of namespace {namespace!r}"):
        found = cluster.policies.list_namespaced_network_policy(namespace, _request_timeout=CALL_SECONDS).items
    closed = [policy for policy in found if _denies_all(policy)]
    opened = [policy.metadata.name for policy in found if _selects(policy) and policy not in closed and _allows(policy)]
    if opened:  # what one policy allows, no other takes back
        raise SetupError(
            f"network policy {opened[0]!r} of namespace {namespace!r} lets pods onto the network",
            "keep the namespace for sandboxes alone",
        )
    if closed:
        return
    if wanted == "require":
        raise SetupError(
            f"namespace {namespace!r} has no policy against the network", "apply the one in docs/cluster.md"
        )
    try:
        with charged_to_kubernetes(f"making a network policy in namespace {namespace!r}"):
            cluster.policies.create_namespaced_network_policy(
                namespace, policy_manifest(), _request_timeout=CALL_SECONDS
            )
    except RowFailure as failure:
        if getattr(failure.__cause__, "status", None) != 409:  # 409: another process was faster
            raise


def policy_manifest() -> dict[str, Any]:
    """The policy: our pods, both directions, and no rule that allows anything."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY},
        "spec": {"podSelector": {"matchLabels": {MANAGED: MANAGER}}, "policyTypes": ["Ingress", "Egress"]},
    }


def prove_no_network(cluster: Cluster, run: Callable[[list[str]], Heard]) -> None:
    """Try the network from inside a pod, in which `run` runs a command, once for each connection to the cluster.

    Raises:
        SetupError: it is there.
        RowFailure: the try could not be made.
    """
    if cluster.proved or cluster.backend.network_policy == "trust":
        return
    with cluster.proving:
        if cluster.proved:
            return
        heard = run(["bash", "-c", DIAL])
        if heard.exit_code == OPEN:
            raise SetupError(
                "pods of this cluster reach the network in spite of the policy against it",
                "use a network plugin that enforces NetworkPolicy (Calico, Cilium, ...)",
            )
        if heard.exit_code is None:
            raise RowFailure("kubernetes", f"a pod did not say whether it has a network ({heard.state})")
        # An image without `timeout` gives no answer; the next pod is asked.
        cluster.proved = heard.exit_code == 0


def _selects(policy: Any) -> bool:
    selector = policy.spec.pod_selector
    labels = (selector.match_labels or {}) if selector is not None else {}
    expressions = selector.match_expressions if selector is not None else None
    return not expressions and all((key, value) == (MANAGED, MANAGER) for key, value in labels.items())


def _denies_all(policy: Any) -> bool:
    both = {"Ingress", "Egress"} <= set(policy.spec.policy_types or [])
    return _selects(policy) and both and not _allows(policy)


def _allows(policy: Any) -> bool:
    return bool(policy.spec.ingress or policy.spec.egress)
