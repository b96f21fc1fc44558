"""One sandbox as a pod: the same commands, limits and faults as the container of `contextrl_data.stages.coding.sandbox`."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping
from urllib.parse import quote_plus

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.environment import ENVIRONMENT
from contextrl_data.stages.coding.faults import SandboxOver, UnusableTask
from contextrl_data.stages.coding.kubernetes.channel import Heard, Lost, Refused
from contextrl_data.stages.coding.kubernetes.cluster import Cluster, marks, new_name
from contextrl_data.stages.coding.kubernetes.network import prove_no_network
from contextrl_data.stages.coding.kubernetes.pod import pod_manifest
from contextrl_data.stages.coding.kubernetes.status import End, end_of, has_started, why_pending
from contextrl_data.stages.coding.limits import KILLED, Result, SandboxConfig
from contextrl_data.stages.coding.streams import pack, pack_in_folder, unpack_one

LONGEST_IN_ADDRESS = 6_000
"""A command is part of the request's address, and proxies on the way bound that; a longer one goes in as a file."""
COPY_SECONDS = 120.0
LOOK_SECONDS = 15.0
POLL_SECONDS = 0.25
NO_WORKDIR = "contextrl: no workdir"
# What Docker sets for a container every command sets for itself: limits (without the privilege to raise them again),
# folder, no input. Every pod is told where the cluster is; a trajectory need not know. One pipe for both outputs.
COMMAND = f"""\
unset "${{!KUBERNETES_@}}"
{{ ulimit -c 0; ulimit -n "$3"; ulimit -f "$4"; }} 2>/dev/null
cd -- "$1" 2>/dev/null || {{ echo '{NO_WORKDIR}' >&2; exit 126; }}
exec bash -c "$2" </dev/null 2>&1
"""
# The input stays open when all is sent: `head` knows where it ends.
UNPACK = 'head -c "$1" | tar -xpf - -C "$2"'


class PodSandbox:
    """A started pod; use it as a context manager. Files are written by the sandbox's own user, with `tar`."""

    boundary = "kubernetes"

    def __init__(
        self,
        cluster: Cluster,
        image: str,
        config: SandboxConfig,
        run_id: str,
        workdir: str = "/testbed",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.image = image
        self.workdir = workdir
        self._cluster = cluster
        self._usable = True
        self._ran = False
        self._pod = ""
        labels, annotations = marks(run_id)
        name = new_name(run_id)
        manifest = pod_manifest(
            name,
            image,
            config,
            cluster.backend,
            labels=labels,
            annotations=annotations,
            env={**ENVIRONMENT, **(env or {})},
        )
        try:
            self._pod = name  # before it is there: a call whose answer is lost may have made it
            cluster.create(manifest)
            self._wait()
            prove_no_network(
                cluster, lambda argv: self._run("trying the network", argv, time.monotonic() + COPY_SECONDS, 1000)
            )
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """False once closed, and after a timeout or a cap: take a new sandbox then."""
        return self._usable

    def exec(self, command: str, timeout: float = 60.0, workdir: str = "") -> Result:
        """Run `command` in bash and wait for it, at most `timeout` seconds from now."""
        deadline = time.monotonic() + timeout
        if len(quote_plus(command)) > LONGEST_IN_ADDRESS:
            command = self._from_file(command)
        limits = [str(self.config.open_files), str(-(-self.config.file_bytes // 1024))]
        argv = ["bash", "-c", COMMAND, "bash", workdir or self.workdir, command, *limits]
        heard = self._run("running a command", argv, deadline, self.config.output_bytes)
        text, code = heard.output.decode("utf-8", "replace"), heard.exit_code
        if heard.state != "ok":
            self.close()
            return Result(None, text, heard.state)
        if code is None or code == KILLED:
            # Told apart: a killed command, a pod that went down with it, and a connection that was cut.
            end = self._end()
            if end is not None and end.full_disk:
                self.close()
                return Result(None, text, "disk_cap")
            if end is not None:
                raise self._over(end)
            if code is None:
                self.close()
                raise RowFailure("kubernetes", "the connection to a running command was cut")
        elif code == 126 and heard.errors.decode("utf-8", "replace").strip() == NO_WORKDIR:
            # Once a command has run, a missing workdir is the work of that command, and its result to see.
            if not self._ran:
                raise UnusableTask("image without the task's workdir", f"{self.image} has no {self.workdir}")
            text = f"{workdir or self.workdir}: no such directory\n"
        self._ran = True
        return Result(code, text, "ok")

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file; its folder must exist."""
        folder, name = posixpath.split(path)
        self._unpack(path, folder, pack(name, data, mode))

    def get(self, path: str, limit_bytes: int) -> bytes:
        """Read one regular file of at most `limit_bytes`; anything else is refused."""
        folder, name = posixpath.split(path)
        argv = ["tar", "-cf", "-", "-C", folder or "/", "--", name]
        # A header, the file, and what tar fills its last record with; `unpack_one` counts the file itself.
        room = limit_bytes + (20 << 10)
        heard = self._run(f"copying {path} out", argv, time.monotonic() + COPY_SECONDS, room)
        if heard.state == "output_cap":
            raise RowFailure("sandbox", f"{path} was not copied out: larger than {limit_bytes} bytes")
        self._check_copied(f"{path} was not copied out", heard)
        return unpack_one([heard.output], path, limit_bytes)

    def close(self) -> None:
        """Remove the pod with everything in it; does nothing the second time."""
        self._usable = False
        pod, self._pod = self._pod, ""
        if pod:
            self._cluster.remove(pod)

    def __enter__(self) -> PodSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> None:
        """Wait until the container runs."""
        deadline = time.monotonic() + self._cluster.backend.start_seconds
        name = self._cluster.backend.image_name(self.image)
        while not has_started(pod := self._cluster.read(self._pod), self.image, name):
            if time.monotonic() >= deadline:
                raise RowFailure(
                    "kubernetes",
                    f"a pod of {name} did not start in {self._cluster.backend.start_seconds} s ({why_pending(pod)})",
                )
            time.sleep(POLL_SECONDS)

    def _run(self, doing: str, argv: list[str], deadline: float, limit_bytes: int, stdin: bytes = b"") -> Heard:
        if not self._usable:
            raise SandboxOver("sandbox", "it was closed, ran out of time or flooded its output or disk; start another")
        try:
            heard = self._cluster.run(self._pod, argv, deadline, limit_bytes, stdin)
        except Lost as lost:
            self.close()  # with whatever may run in it
            raise RowFailure("kubernetes", f"{doing}: {lost.message}") from lost
        except Refused as refused:
            self._check_runnable(argv[0], refused.message)
            end = self._end()
            if end is not None:
                raise self._over(end) from refused
            raise RowFailure("kubernetes", f"{doing}: {refused.message}") from refused
        if heard.status is not None and heard.exit_code is None:
            said = " ".join(str(heard.status.get("message", "no exit code")).split())[:300]
            self._check_runnable(argv[0], said)
            end = self._end()
            raise self._over(end) if end is not None else RowFailure("kubernetes", f"{doing}: {said}")
        return heard

    def _check_runnable(self, program: str, said: str) -> None:
        if f'exec: "{program}"' in said:
            raise UnusableTask(f"image without {program}", self.image)

    def _unpack(self, path: str, folder: str, archive: bytes) -> None:
        argv = ["bash", "-c", UNPACK, "bash", str(len(archive)), folder or "/"]
        heard = self._run(f"copying {path} in", argv, time.monotonic() + COPY_SECONDS, 1000, archive)
        self._check_copied(f"{path} was not copied in", heard)

    def _check_copied(self, doing: str, heard: Heard) -> None:
        if heard.state == "ok" and heard.exit_code == 0:
            return
        said = " ".join(heard.errors.decode("utf-8", "replace").split())[:300]
        if heard.state == "ok" and heard.exit_code is not None and heard.exit_code != KILLED:
            if "No such file" in said:
                said = "there is no such file"
            raise RowFailure("sandbox", f"{doing}: {said or f'exit code {heard.exit_code}'}")
        end = self._end()
        self.close()
        if end is not None:
            raise SandboxOver(end.boundary, end.message)
        raise RowFailure("kubernetes", f"{doing}: {heard.state if heard.state != 'ok' else 'the connection was cut'}")

    def _from_file(self, command: str) -> str:
        """Put a long command into a file that is gone before the command starts: it may hold what must not leak."""
        self._unpack("a command", "/tmp", pack_in_folder(".contextrl", "command", command.encode()))
        return "source <(cat /tmp/.contextrl/command; rm -f /tmp/.contextrl/command)"

    def _end(self) -> End | None:
        """Why the pod ended; None where it lives.

        One that is going down may take a while to say so: it lives if it still runs something, twice.
        """
        for pause in (0.0, 0.3, 1.0, 2.0, 4.0):
            time.sleep(pause)
            end = end_of(self._cluster.read(self._pod))
            if end is not None:
                return end
            if self._answers() and pause:
                return None
        return End("kubernetes", "the pod takes no commands any more")

    def _answers(self) -> bool:
        try:
            heard = self._cluster.run(self._pod, ["true"], time.monotonic() + LOOK_SECONDS, 1000)
        except (Refused, Lost):
            return False
        return heard.exit_code == 0

    def _over(self, end: End) -> RowFailure:
        """The pod ended: nothing to grade."""
        self.close()
        return SandboxOver(end.boundary, end.message)
