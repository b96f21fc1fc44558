"""A Kubernetes API on loopback, over TLS with a token, that runs every pod as a real Docker container.

It speaks what `kubernetes` and our exec channel use: pods (create, get, list by labels, delete), network policies, exec
over a WebSocket in `v4.channel.k8s.io`, and status objects for every refusal. The kubelet's part is played with Docker:
images that are not there, ends of all kinds, eviction by measured disk use, deadlines. There is no scheduler, and no
network to keep pods from unless `network` names one. `faults` are answers to give in place of the right ones.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import kube_exec
import yaml

from contextrl_data.stages.coding.daemon import LABEL, OWNER_LABEL, owner
from contextrl_data.stages.coding.kubernetes.pod import RUN
from contextrl_data.stages.coding.streams import pack_in_folder

TOKEN = "a-token-of-this-test"
PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)(/exec)?)?$")
POLICIES = re.compile(r"/apis/networking\.k8s\.io/v1/namespaces/([^/]+)/networkpolicies$")


@dataclass
class Fault:
    """An answer in place of the right one: to requests of `method` whose path holds `path`, `times` times."""

    method: str
    path: str
    status: int = 0
    """HTTP status; 0 cuts the connection."""
    reason: str = ""
    message: str = "made to fail"
    retry_after: int | None = None
    after: bool = False
    """The request is carried out, and only its answer is lost."""
    times: int = 1


@dataclass
class Cluster:
    """The state of the cluster, and its kubelet."""

    docker: Any
    namespace: str = "sandboxes"
    pids: int = 64
    """The nodes' podPidsLimit."""
    network: str = "none"
    service: tuple[str, int] = ("10.96.0.1", 443)
    """Where pods are told that the cluster is."""
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    policies: list[dict[str, Any]] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    """Kinds that this user may not create."""
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""
    errors: list[str] = field(default_factory=list)
    """Mistakes of the server's own."""
    pings: int = 0
    full: str = ""
    """Why no node takes a pod."""
    cut_exec_after: int | None = None
    """Bytes of output after which the next command's connection is cut."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        pod["metadata"] |= {"namespace": self.namespace, "uid": name, "creationTimestamp": _now()}
        pod["status"] = {"phase": "Pending"}
        self.pods[name] = pod
        threading.Thread(target=self._live, args=(pod,), daemon=True).start()

    def remove(self, name: str) -> None:
        """As the kubelet does: the object goes when the container is gone."""
        self.pods[name]["metadata"]["deletionTimestamp"] = _now()
        threading.Thread(target=self._kill, args=(name, True), daemon=True).start()

    def end(self, name: str, reason: str, message: str = "", container: str = "Error") -> None:
        """End a pod as the cluster does: its container is killed, and its status says why."""
        with self.lock:
            self.pods[name]["status"] |= {
                "phase": "Failed",
                "containerStatuses": _states({"terminated": {"exitCode": 137, "reason": container}}),
                **({"reason": reason, "message": message} if reason else {}),
            }
        self._kill(name, False)

    def settled(self) -> list[str]:
        """Names of the pods that stay: those that are going get the time to go."""
        for _ in range(100):
            if not self.pods:
                break
            time.sleep(0.1)
        return list(self.pods)

    def _kill(self, name: str, forget: bool) -> None:
        container = self.containers.pop(name, "")
        if container:
            with contextlib.suppress(Exception):
                self.docker.api.remove_container(container, force=True, v=True)
        if forget:
            self.pods.pop(name, None)

    def _live(self, pod: dict[str, Any]) -> None:
        """One pod's life on its node."""
        from docker.errors import APIError, ImageNotFound

        name, spec = pod["metadata"]["name"], pod["spec"]
        if self.full:
            said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": self.full}
            self._set(name, conditions=[said])
            return
        try:
            container = self._pulled(pod)
        except ImageNotFound as error:
            reason = {"reason": "ErrImagePull", "message": f"rpc error: code = NotFound: {error.explanation}"}
            self._set(name, containerStatuses=_states({"waiting": reason}))
            return
        except APIError as error:
            reason = {"reason": "CreateContainerConfigError", "message": str(error.explanation)}
            self._set(name, containerStatuses=_states({"waiting": reason}))
            return
        if name not in self.pods or "deletionTimestamp" in pod["metadata"]:
            self.docker.api.remove_container(container, force=True)
            return
        self.containers[name] = container
        if spec.get("automountServiceAccountToken", True):
            self.docker.api.put_archive(container, "/run", pack_in_folder("secrets", "token", TOKEN.encode()))
        try:
            self.docker.api.start(container)
        except APIError as error:
            state = {"terminated": {"exitCode": 128, "reason": "StartError", "message": str(error.explanation)}}
            self._set(name, phase="Failed", containerStatuses=_states(state))
            return
        if self._begun(container):
            self._set(name, phase="Running", containerStatuses=_states({"running": {"startedAt": _now()}}))
        self._watch(name, container, spec)

    def _begun(self, container: str) -> bool:
        """Whether the first process runs; Docker's own init would hide that it does not."""
        from docker.errors import APIError

        for _ in range(50):
            try:
                shown = self.docker.api.top(container)["Processes"] or []
            except APIError:
                return False
            if len(shown) > 1:
                return True
            time.sleep(0.05)
        return False

    def _watch(self, name: str, container: str, spec: dict[str, Any]) -> None:
        """Until it ends by itself, by its deadline, or by what it writes."""
        started = time.monotonic()
        limit = int(spec["containers"][0]["resources"]["limits"]["ephemeral-storage"])
        looked = started
        while self.containers.get(name) == container:
            try:
                state = self.docker.api.inspect_container(container)["State"]
            except Exception:
                return
            if not state["Running"]:
                killed = "OOMKilled" if state["OOMKilled"] and state["ExitCode"] == 137 else "Error"
                reason = "StartError" if time.monotonic() - started < 2 and state["ExitCode"] in (126, 127) else killed
                ended = {"exitCode": state["ExitCode"], "reason": "Completed" if not state["ExitCode"] else reason}
                phase = "Failed" if state["ExitCode"] else "Succeeded"
                self._set(name, phase=phase, containerStatuses=_states({"terminated": ended}))
                return
            if time.monotonic() - started > spec["activeDeadlineSeconds"]:
                self.end(name, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                found = self.docker.api.containers(size=True, filters={"id": container})
                if any(each.get("SizeRw", 0) > limit for each in found):
                    said = f"Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
                    self.end(name, "Evicted", said)
            time.sleep(0.1)

    def _set(self, name: str, **status: Any) -> None:
        with self.lock:
            pod = self.pods.get(name)
            if pod is not None and pod["status"].get("phase") not in ("Failed", "Succeeded"):
                pod["status"] |= status

    def _pulled(self, pod: dict[str, Any]) -> str:
        """A container of the pod; its image is pulled where it comes from a registry of loopback."""
        from docker.errors import ImageNotFound

        image = pod["spec"]["containers"][0]["image"]
        try:
            return self._create(pod)
        except ImageNotFound:
            if not image.startswith("127.0.0.1"):
                raise
            self.docker.api.pull(*image.rsplit(":", 1))
            return self._create(pod)

    def _create(self, pod: dict[str, Any]) -> str:
        """A container with what the pod's spec asks for, and no more hardening than that."""
        spec, labels = pod["spec"], pod["metadata"]["labels"]
        (own,) = spec["containers"]
        security, limits = own.get("securityContext", {}), own["resources"]["limits"]
        memory = int(limits["memory"])
        user = security.get("runAsUser")
        if security.get("runAsNonRoot") and user is None:
            raise AssertionError("the kubelet cannot verify a user by name")
        env = {each["name"]: each["value"] for each in own.get("env", [])}
        host, port = self.service
        env |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
        return str(
            self.docker.api.create_container(
                own["image"],
                entrypoint=own["command"],
                command=[],
                environment=env,
                hostname=spec.get("hostname", pod["metadata"]["name"]),
                working_dir=own.get("workingDir"),
                user=None if user is None else f"{user}:{security['runAsGroup']}",
                labels={LABEL: labels[RUN], OWNER_LABEL: owner()},
                host_config=self.docker.api.create_host_config(
                    network_mode=self.network,
                    cap_drop=security.get("capabilities", {}).get("drop"),
                    security_opt=[] if security.get("allowPrivilegeEscalation", True) else ["no-new-privileges"],
                    privileged=security.get("privileged", False),
                    mem_limit=memory,
                    memswap_limit=memory,
                    nano_cpus=int(limits["cpu"].removesuffix("m")) * 1_000_000,
                    pids_limit=self.pids,
                    init=spec.get("shareProcessNamespace", False),
                ),
            )["Id"]
        )


class Server(ThreadingHTTPServer):
    """The API in front of a cluster."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cluster = cluster
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate, key = _certificate(folder)
        self.tls.load_cert_chain(self.certificate, key)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(OSError), self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep a mistake of this server's own; a client that hangs up is none."""
        self.cluster.errors.append(traceback.format_exc())

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here."""
        server = f"https://127.0.0.1:{self.server_address[1]}"
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        named = {
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "here", **named}))
        return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        cluster = self.server.cluster
        asked = urlparse(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        cluster.asked.append(f"{method} {asked.path}")
        fault = self._fault(method, asked.path)
        if fault is not None and not fault.after:
            self._fail(fault)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "Unauthorized", "Unauthorized")
        else:
            with cluster.lock if not asked.path.endswith("/exec") else contextlib.nullcontext():
                self._answer(method, asked.path, parse_qs(asked.query), body, lost=fault is not None)

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes, lost: bool) -> None:
        cluster = self.server.cluster
        pods, policies = PODS.match(path), POLICIES.match(path)
        found = pods or policies
        if found is None:
            self._refuse(404, "NotFound", "the server could not find the requested resource")
        elif found[1] != cluster.namespace and method == "POST":
            self._refuse(404, "NotFound", f'namespaces "{found[1]}" not found')
        elif found[1] != cluster.namespace:  # a list of nothing, as a real server gives
            self._send(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})
        elif policies:
            self._policies(method, body)
        elif pods and pods[3]:
            self._exec(pods[2], query)
        elif pods and pods[2]:
            self._pod(method, pods[2])
        elif method == "POST":
            self._create(json.loads(body), lost)
        else:
            wanted = dict(part.split("=") for part in query.get("labelSelector", [""])[0].split(",") if part)
            items = [p for p in list(cluster.pods.values()) if wanted.items() <= p["metadata"]["labels"].items()]
            self._send(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    def _create(self, pod: dict[str, Any], lost: bool) -> None:
        cluster, name = self.server.cluster, pod["metadata"]["name"]
        if "pods" in cluster.forbidden:
            self._refuse(403, "Forbidden", 'pods is forbidden: User "u" cannot create resource "pods"')
        elif name in cluster.pods:
            self._refuse(409, "AlreadyExists", f'pods "{name}" already exists')
        else:
            cluster.add(pod)
            if lost:
                self._cut()
            else:
                self._send(201, pod)

    def _pod(self, method: str, name: str) -> None:
        cluster = self.server.cluster
        pod = cluster.pods.get(name)
        if pod is None:
            self._refuse(404, "NotFound", f'pods "{name}" not found')
            return
        if method == "DELETE" and "deletionTimestamp" not in pod["metadata"]:
            cluster.remove(name)
        self._send(200, pod)

    def _policies(self, method: str, body: bytes) -> None:
        cluster = self.server.cluster
        if method == "GET":
            self._send(200, {"kind": "NetworkPolicyList", "metadata": {}, "items": cluster.policies})
        elif "networkpolicies" in cluster.forbidden:
            self._refuse(403, "Forbidden", 'networkpolicies.networking.k8s.io is forbidden: User "u" cannot create')
        else:
            cluster.policies.append(json.loads(body))
            self._send(201, cluster.policies[-1])

    def _exec(self, name: str, query: dict[str, list[str]]) -> None:
        cluster = self.server.cluster
        container, pod = cluster.containers.get(name), cluster.pods.get(name)
        if pod is None:
            self._refuse(404, "NotFound", f'pods "{name}" not found')
            return
        if pod["status"]["phase"] in ("Failed", "Succeeded"):
            said = f"cannot exec into a container in a completed pod; current phase is {pod['status']['phase']}"
            self._refuse(400, "BadRequest", said)
            return
        if container is None:
            self._refuse(500, "InternalError", 'unable to upgrade connection: container not found ("sandbox")')
            return
        cut, cluster.cut_exec_after = cluster.cut_exec_after, None
        self.close_connection = True
        kube_exec.run(self, cluster.docker, container, query["command"], query["stdin"] == ["true"], cut)

    def _fault(self, method: str, path: str) -> Fault | None:
        with self.server.cluster.lock:
            for fault in self.server.cluster.faults:
                if fault.times and fault.method == method and fault.path in path:
                    fault.times -= 1
                    return fault
        return None

    def _fail(self, fault: Fault) -> None:
        if fault.status:
            self._refuse(fault.status, fault.reason, fault.message, fault.retry_after)
        else:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _refuse(self, code: int, reason: str, message: str, retry_after: int | None = None) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        extra = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._send(code, {**status, "message": message, "reason": reason, "code": code}, extra)

    def _send(self, code: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(docker: Any, folder: Path, **how: Any) -> Iterator[tuple[Cluster, Path]]:
    """A cluster, and the kubeconfig that leads to it; what pods are left at the end are removed."""
    cluster = Cluster(docker, **how)
    with Server(cluster, folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield cluster, server.kubeconfig(folder / "kubeconfig")
        finally:
            server.shutdown()
            thread.join()
            for name in list(cluster.pods):
                cluster._kill(name, True)


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "server.pem", folder / "server.key"
    if not certificate.exists():
        asked = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here"
        more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*asked.split(), *more], check=True, capture_output=True)
    return certificate, key


def _states(state: dict[str, Any]) -> list[dict[str, Any]]:
    known = {"name": "sandbox", "image": "i", "imageID": "", "ready": "running" in state, "restartCount": 0}
    return [{**known, "state": state}]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
