"""Sandboxes as pods: every fault of a cluster is a row failure with its name, none is a label, and nothing is left."""

from __future__ import annotations

import os
import platform
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import small_repo
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_repo import WINDOWS, diff

from contextrl_data.pipeline.errors import ConfigError, RowFailure, SetupError
from contextrl_data.pipeline.stage import Context, Keep
from contextrl_data.stages.coding.backend import Host, connect_host, start_sandbox, swept_on
from contextrl_data.stages.coding.daemon import owner
from contextrl_data.stages.coding.evaluate import Evaluate, EvaluateConfig, evaluate_patch
from contextrl_data.stages.coding.faults import SandboxOver, UnusableTask
from contextrl_data.stages.coding.kubernetes import channel
from contextrl_data.stages.coding.kubernetes.network import policy_manifest
from contextrl_data.stages.coding.kubernetes.pod import MANAGED, MANAGER, OWNER, RUN, pod_manifest
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend
from contextrl_data.stages.coding.sandbox import SandboxConfig

if TYPE_CHECKING:
    from kube_server import Cluster as State

pytestmark = pytest.mark.docker
SMALL = SandboxConfig(memory="128m", output_bytes=10_000)
BUGGY = WINDOWS.replace(*small_repo.BUGS["boundary"])


@pytest.fixture
def state(kube_state: tuple[State, Path]) -> Iterator[State]:
    """The cluster as its server knows it, without faults at either end."""
    found = kube_state[0]
    found.asked.clear()
    yield found
    unused = [fault for fault in found.faults if fault.times]
    found.faults.clear()
    found.forbidden.clear()
    found.full = ""
    assert not unused, "a fault that never happened proves nothing"


def fault(state: State, method: str, path: str, status: int = 0, **how: Any) -> None:
    from kube_server import Fault

    state.faults.append(Fault(method, path, status, **how))


def gone(state: State, run_id: str) -> bool:
    for _ in range(100):
        if not any(pod["metadata"]["labels"].get(RUN) == run_id for pod in state.pods.values()):
            return True
        time.sleep(0.1)
    return False


@contextmanager
def shortly(call: Any, seconds: float = 0.7) -> Iterator[None]:
    """Call something while the block runs."""
    timer = threading.Timer(seconds, call)
    timer.start()
    yield
    timer.join()


def test_a_pod_is_denied_what_a_container_is() -> None:
    backend = KubernetesBackend(
        kind="kubernetes",
        image_prefix="registry.example.org/team/",
        runtime_class="gvisor",
        node_selector={"pool": "sandboxes"},
        image_pull_secrets=("login",),
        memory_request="256m",
        run_as_user=1000,
    )
    parts: dict[str, Any] = {"labels": {RUN: "r"}, "annotations": {}, "env": {"A": "b"}}
    pod = pod_manifest("p", "contextrl-data/x:1", SandboxConfig(cpus=0.5), backend, **parts)
    spec = pod["spec"]
    (own,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes", "serviceAccountName"} & spec.keys()
    assert (spec["restartPolicy"], spec["runtimeClassName"]) == ("Never", "gvisor")
    assert spec["nodeSelector"] == {"pool": "sandboxes"}
    assert spec["imagePullSecrets"] == [{"name": "login"}]
    assert spec["activeDeadlineSeconds"] == 1800 + 600
    security = own["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["allowPrivilegeEscalation"] is security["privileged"] is False
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (security["runAsUser"], security["runAsNonRoot"]) == (1000, True)
    assert own["image"] == "registry.example.org/team/contextrl-data/x:1"
    assert own["resources"]["limits"] == {"cpu": "500m", "memory": str(1 << 30), "ephemeral-storage": str(4 << 30)}
    assert own["resources"]["requests"]["memory"] == str(256 << 20)
    assert "volumeMounts" not in own
    other = pod_manifest("p", "swebench/x:1", SandboxConfig(user="0:5"), backend, **parts)["spec"]["containers"][0]
    assert other["image"] == "swebench/x:1", "what is not made here is not in our registry"
    assert (other["securityContext"]["runAsUser"], other["securityContext"]["runAsGroup"]) == (0, 5)
    with pytest.raises(ConfigError, match="numbers only"):
        pod_manifest("p", "x", SandboxConfig(user="agent"), backend, **parts)


def test_a_pod_knows_nothing_of_its_cluster(state: State, cluster: Any, base_image: str, run_id: str) -> None:
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        seen = sandbox.exec("ls /run/secrets; env; cat /proc/*/environ | tr '\\0' '\\n'").output
        assert "cannot access '/run/secrets'" in seen
        own = [line for line in sandbox.exec("env").output.splitlines() if "KUBERNETES" in line]
    assert own == []
    assert "token" not in seen


def test_what_the_page_says_to_apply_is_what_the_code_wants() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text()
    objects = list(yaml.safe_load_all(page.split("```yaml\n")[1].split("```")[0]))
    found = {each["kind"]: each for each in objects}
    assert found["NetworkPolicy"]["spec"] == policy_manifest()["spec"]
    assert found["NetworkPolicy"]["metadata"]["name"] == policy_manifest()["metadata"]["name"]
    granted = {(kind, verb) for rule in found["Role"]["rules"] for kind in rule["resources"] for verb in rule["verbs"]}
    used = {("pods", verb) for verb in ("create", "get", "list", "delete")}
    assert granted == {*used, ("pods/exec", "get"), ("pods/exec", "create"), ("networkpolicies", "list")}


def test_labels_are_those_of_docker(
    docker_client: Any, cluster: Any, kube_backend: KubernetesBackend, run_id: str, tmp_path: Path
) -> None:
    small_repo.build(docker_client, tmp_path / "image")
    task = small_repo.task("boundary")
    broken = WINDOWS.replace('    positive("size", size)\n', "")
    patches = {
        "gold": task["patch"],
        "empty": "",
        "no effect": diff("spans/windows.py", BUGGY, BUGGY.replace('"""Windows', '"""All windows')),
        "breaks another": diff("spans/windows.py", BUGGY, broken),
        "does not apply": "diff --git a/no b/no\n--- a/no\n+++ b/no\n@@ -1 +1 @@\n-a\n+b\n",
        "kills all": diff("spans/windows.py", BUGGY, "import os\nos.kill(-1, 9)\n" + BUGGY),
    }

    def outcomes(stage: Evaluate) -> dict[str, Any]:
        stage.open(Context(folder=tmp_path, sides={"tasks": [task]}, run_id=run_id))  # type: ignore[dict-item]
        found: dict[str, Any] = {}
        for name, patch in patches.items():
            try:
                found[name] = stage.process({"id": name, "instance_id": task["id"], "patch": patch})
            except RowFailure as failure:
                found[name] = failure.boundary
        stage.close()
        return found

    with ThreadPoolExecutor(2) as pool:
        here, there = pool.map(outcomes, [Evaluate(EvaluateConfig()), Evaluate(EvaluateConfig()).on(kube_backend)])
    assert there == here
    status = {name: outcome.rows[0]["status"] for name, outcome in there.items() if isinstance(outcome, Keep)}
    assert status == {
        "gold": "resolved",
        "empty": "unresolved",
        "no effect": "unresolved",
        "breaks another": "unresolved",
        "does not apply": "patch_failed",
    }
    assert there["kills all"] == "sandbox"


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (429, {"retry_after": 1}),
        (500, {"reason": "InternalError", "times": 2}),
        (409, {"reason": "Conflict", "message": "Operation cannot be fulfilled on resourcequotas"}),
        (403, {"reason": "Forbidden", "message": 'pods "p" is forbidden: exceeded quota: q'}),
        (0, {}),
        (0, {"after": True}),
    ],
    ids=["429", "500", "409", "quota", "cut", "answer lost"],
)
def test_one_pod_comes_of_a_create_that_is_repeated(
    state: State, cluster: Any, base_image: str, run_id: str, status: int, how: dict[str, Any]
) -> None:
    fault(state, "POST", "/pods", status, **how)
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        assert sandbox.exec("echo here").output == "here\n"
        assert [pod["metadata"]["labels"][RUN] for pod in state.pods.values()].count(run_id) == 1
    assert gone(state, run_id)


def test_a_busy_server_is_asked_again_for_what_did_not_begin(
    state: State, cluster: Any, base_image: str, run_id: str
) -> None:
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        fault(state, "GET", "/exec", 429, retry_after=1)
        fault(state, "GET", "/exec", 503)
        assert sandbox.exec("echo x >>/tmp/n; cat /tmp/n").output == "x\n"
        fault(state, "DELETE", "/pods", 500)
        fault(state, "DELETE", "/pods", 0)
    assert gone(state, run_id)


@pytest.mark.parametrize("status", [0, 502, 504], ids=["cut", "502", "504"])
def test_a_command_that_may_have_begun_is_not_sent_again(
    state: State, cluster: Any, base_image: str, run_id: str, status: int
) -> None:
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        state.asked.clear()
        fault(state, "GET", "/exec", status)
        with pytest.raises(RowFailure, match="running a command: ") as caught:
            sandbox.exec("echo x >>/tmp/n")
        assert caught.value.boundary == "kubernetes"
        assert not sandbox.usable, "the command may still run there"
        assert len([each for each in state.asked if "/exec" in each]) == 1
    assert gone(state, run_id)


def test_a_connection_cut_while_a_command_runs_is_no_result(
    state: State, cluster: Any, base_image: str, run_id: str
) -> None:
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        state.cut_exec_after = 100
        with pytest.raises(RowFailure, match="cut") as caught:
            sandbox.exec("for n in $(seq 100); do echo line $n; done; sleep 30")
        assert caught.value.boundary == "kubernetes"
        assert not sandbox.usable
    assert gone(state, run_id)


def test_a_silent_command_keeps_its_connection_alive(
    state: State, cluster: Any, base_image: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "PING_SECONDS", 0.1)
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        before = state.pings
        assert sandbox.exec("sleep 1; head -c 9000 /dev/zero | tr '\\0' x").output == "x" * 9000
        assert state.pings > before
        assert sandbox.exec("sleep 60", timeout=1).state == "timeout"


@given(code=st.integers(1, 255))
def test_the_exit_code_is_read_from_the_status(code: int) -> None:
    cause = {"reason": "ExitCode", "message": str(code)}
    failed = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}
    assert channel.Heard(b"", b"", "ok", failed).exit_code == code
    assert channel.Heard(b"", b"", "ok", {"status": "Success"}).exit_code == 0


@pytest.mark.parametrize(
    "status", [None, {}, {"status": "Failure"}, {"status": "Failure", "details": {"causes": [{"reason": "Other"}]}}]
)
def test_no_exit_code_is_made_up(status: Any) -> None:
    assert channel.Heard(b"", b"", "ok", status).exit_code is None


ENDS: dict[str, dict[str, str]] = {
    "OOMKilled": {"reason": "", "container": "OOMKilled"},
    "The node was low on resource": {"reason": "Evicted", "message": "The node was low on resource: memory."},
    "DeadlineExceeded": {"reason": "DeadlineExceeded", "message": "active longer than the specified deadline"},
    "NodeShutdown": {"reason": "NodeShutdown", "message": "Pod was terminated in response to imminent node shutdown."},
}


@pytest.mark.parametrize("name", ENDS)
def test_a_pod_that_the_cluster_ended_is_no_result(
    state: State, cluster: Any, base_image: str, run_id: str, name: str
) -> None:
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        (pod,) = [each for each, found in state.pods.items() if found["metadata"]["labels"].get(RUN) == run_id]
        with shortly(lambda: state.end(pod, **ENDS[name])), pytest.raises(SandboxOver, match=name) as caught:
            sandbox.exec("sleep 60")
        assert caught.value.boundary == "kubernetes"
        assert not sandbox.usable
    assert gone(state, run_id)


def test_tests_that_are_killed_with_their_pod_give_no_label(
    docker_client: Any, state: State, cluster: Any, run_id: str, tmp_path: Path
) -> None:
    small_repo.build(docker_client, tmp_path / "image")
    slow = diff("spans/windows.py", BUGGY, "import time\ntime.sleep(60)\n" + WINDOWS)

    def end() -> None:
        for _ in range(300):  # when the tests run
            found = [name for name, pod in state.pods.items() if pod["metadata"]["labels"].get(RUN) == run_id]
            if found and _runs(docker_client, state.containers.get(found[0], ""), "-m pytest"):
                state.end(found[0], **ENDS["OOMKilled"])
                return
            time.sleep(0.1)

    with shortly(end, 0.1), pytest.raises(SandboxOver, match="OOMKilled"):
        evaluate_patch(cluster, small_repo.task("boundary"), slow, EvaluateConfig(timeout=60), run_id)
    assert gone(state, run_id)


def _runs(client: Any, container: str, words: str) -> bool:
    from docker.errors import APIError

    try:
        return bool(container) and words in str(client.api.top(container)["Processes"])
    except APIError:  # it is only starting
        return False


def test_a_pod_that_was_taken_away_is_no_result(state: State, cluster: Any, base_image: str, run_id: str) -> None:
    with start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        with shortly(lambda: cluster.reap(run_id)), pytest.raises(SandboxOver) as caught:
            sandbox.exec("sleep 30")
        assert caught.value.boundary == "kubernetes"
        with pytest.raises(SandboxOver):
            sandbox.put("/tmp/x", b"")
    assert gone(state, run_id)


def test_an_image_that_is_nowhere_is_the_tasks_fault_unless_it_is_ours(state: State, cluster: Any, run_id: str) -> None:
    with pytest.raises(UnusableTask) as caught:
        start_sandbox(cluster, "no-such-name/no-such-image:1", SMALL, run_id)
    assert caught.value.reason == "image not found"
    with pytest.raises(RowFailure, match="push it") as ours:
        start_sandbox(cluster, "contextrl-data/never-made:1", SMALL, run_id)
    assert ours.value.boundary == "image"
    assert gone(state, run_id)


def test_a_full_cluster_fails_the_row_and_says_why(
    state: State, kube_backend: KubernetesBackend, base_image: str, run_id: str
) -> None:
    state.full = "0/3 nodes are available: 3 Insufficient cpu."
    host = connect_host(kube_backend.model_copy(update={"start_seconds": 1}))
    with pytest.raises(RowFailure, match="Insufficient cpu") as caught:
        start_sandbox(host, base_image, SMALL, run_id)
    assert caught.value.boundary == "kubernetes"
    host.close()
    assert gone(state, run_id)


def test_what_no_row_could_do_stops_the_build(
    state: State, kube_backend: KubernetesBackend, base_image: str, run_id: str, tmp_path: Path
) -> None:
    def refused(**changes: Any) -> str:
        with (
            pytest.raises(SetupError) as caught,
            closing(connect_host(kube_backend.model_copy(update=changes))) as host,
        ):
            start_sandbox(host, base_image, SMALL, run_id)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no cluster is configured" in refused(kubeconfig=tmp_path / "none")
    assert "no cluster is configured" in refused(context="elsewhere")
    assert 'namespaces "nowhere" not found' in refused(namespace="nowhere", network_policy="trust")
    state.forbidden.add("pods")
    assert "grant the Role in docs/cluster.md" in refused()
    other = tmp_path / "kubeconfig"
    assert kube_backend.kubeconfig is not None
    other.write_text(kube_backend.kubeconfig.read_text().replace("a-token", "no-token"))
    assert "Unauthorized" in refused(kubeconfig=other)
    strange = tmp_path / "strange"
    lines = kube_backend.kubeconfig.read_text().splitlines()
    strange.write_text("\n".join(line for line in lines if "certificate-authority" not in line))
    assert "certificate verify failed" in refused(kubeconfig=strange)


def test_pods_have_no_network_and_that_is_seen_to(
    docker_client: Any, base_image: str, run_id: str, tmp_path: Path
) -> None:
    import kube_server

    with kube_server.serving(docker_client, tmp_path) as (state, kubeconfig):
        backend = KubernetesBackend(kind="kubernetes", namespace=state.namespace, kubeconfig=kubeconfig)
        state.forbidden.add("networkpolicies")
        for wanted, told in (("require", "apply the one"), ("create", "forbids making a network policy")):
            with pytest.raises(SetupError, match=told):
                connect_host(backend.model_copy(update={"network_policy": wanted}))
        state.forbidden.clear()
        for _ in range(2):
            connect_host(backend).close()
        (made,) = state.policies
        assert made["spec"] == {
            "podSelector": {"matchLabels": {MANAGED: MANAGER}},
            "policyTypes": ["Ingress", "Egress"],
        }
        state.policies.append({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "egress": [{}]}})
        with pytest.raises(SetupError, match="'open' of namespace 'sandboxes' lets pods onto the network"):
            connect_host(backend)


def test_a_cluster_that_does_not_enforce_its_policies_is_found_out(
    docker_client: Any, base_image: str, run_id: str, tmp_path: Path
) -> None:
    import kube_server

    with socket.create_server(("127.0.0.1", 0)) as service:
        how = {"network": "host", "service": ("127.0.0.1", service.getsockname()[1])}
        with kube_server.serving(docker_client, tmp_path, **how) as (state, kubeconfig):
            backend = KubernetesBackend(kind="kubernetes", namespace=state.namespace, kubeconfig=kubeconfig)
            with (
                closing(connect_host(backend)) as host,
                pytest.raises(SetupError, match="reach the network in spite of the policy"),
            ):
                start_sandbox(host, base_image, SMALL, run_id)
            assert not state.settled()


def test_the_pods_of_the_dead_go_and_those_of_others_stay(
    state: State, cluster: Any, kube_backend: KubernetesBackend, base_image: str, run_id: str
) -> None:
    def pod(name: str, owned: str, born: str = "2999-01-01T00:00:00Z", **labels: str) -> None:
        metadata = {"name": name, "labels": {MANAGED: MANAGER, RUN: run_id} | labels, "creationTimestamp": born}
        metadata["annotations"] = {OWNER: owned}
        spec = {"activeDeadlineSeconds": 60, "containers": [{"name": "sandbox"}]}
        state.pods[name] = {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}

    mine = owner()
    pod("dead", mine.replace(f"|{os.getpid()}|", "|999999|"))
    pod("elsewhere", mine.replace(platform.node(), "another-machine", 1))
    pod("forgotten", mine.replace(platform.node(), "another-machine", 1), "2020-01-01T00:00:00Z")
    pod("stranger", "", **{MANAGED: "somebody"})
    with swept_on(kube_backend), start_sandbox(cluster, base_image, SMALL, run_id) as sandbox:
        left = {name for name in state.pods if not state.pods[name]["metadata"].get("deletionTimestamp")}
        assert left >= {"elsewhere", "stranger"}
        assert not left & {"dead", "forgotten"}
        assert sandbox.exec("echo here").output == "here\n"
        kept = start_sandbox(cluster, base_image, SMALL, run_id)
    assert kept.usable, "its owner never closed it"
    for _ in range(100):
        if state.pods.keys() == {"elsewhere", "stranger"}:
            break
        time.sleep(0.1)
    assert state.pods.keys() == {"elsewhere", "stranger"}, "what this process held is gone at the end"
    assert cluster.reap(run_id) == 1
    state.pods.pop("stranger")
    assert gone(state, run_id)


def test_what_is_copied_is_bounded_and_told(host: Host, base_image: str, run_id: str) -> None:
    with start_sandbox(host, base_image, SMALL, run_id) as sandbox:
        big = os.urandom(1 << 20)
        sandbox.put("/tmp/big", big)
        assert sandbox.get("/tmp/big", 1 << 20) == big
        for size in (0, 9_000):
            sandbox.put("/tmp/small", b"x" * size)
            assert sandbox.get("/tmp/small", size) == b"x" * size
        for path, told in (("/tmp/big", "larger than"), ("/dev/zero", "not copied out")):
            with pytest.raises(RowFailure, match=told):
                sandbox.get(path, 1000)
        with pytest.raises(RowFailure):
            sandbox.put("/no/such/folder/file", b"")
        assert sandbox.exec("echo usable").output == "usable\n"
