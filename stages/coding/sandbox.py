"""One hardened container: the only place where code that nobody vouches for ever runs.

No network, no capabilities, no new privileges, bounded memory, processes, CPU, file size and output. Every command
has a deadline kept on this side. A command that ran out of time or flooded its output or the disk may leave children behind that
no signal to the command reaches (`setsid`), so the container goes with it and the sandbox is over.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.container import create_container
from contextrl_data.stages.coding.daemon import (
    LABEL,
    OWNER_LABEL,
    charged_to_docker,
    connect,
    owner,
    reap,
    remove_container,
)
from contextrl_data.stages.coding.disk import DiskWatch
from contextrl_data.stages.coding.environment import ENVIRONMENT
from contextrl_data.stages.coding.faults import SandboxOver, UnusableTask
from contextrl_data.stages.coding.image_disk import needed, note_use
from contextrl_data.stages.coding.limits import KILLED, Result, SandboxConfig
from contextrl_data.stages.coding.pull import fetch_image
from contextrl_data.stages.coding.streams import pack, pack_in_folder, read_output, unpack_one

if TYPE_CHECKING:
    import docker

__all__ = ["Result", "Sandbox", "SandboxConfig", "SandboxOver", "UnusableTask", "connect", "reap"]

WITHOUT_WORKDIR = "chdir to cwd"
STOPPED = "cannot exec in a stopped state"
GOING_DOWN = "is not running"
NOT_STARTED = "OCI runtime exec failed"
SECOND_TRY = 15  # seconds that an image must live at its second try
LONGEST_ARGUMENT = 100_000  # Linux takes 128 KiB in one argument


class Sandbox:
    """A started container; use it as a context manager."""

    boundary = "docker"

    def __init__(
        self,
        client: docker.DockerClient,
        image: str,
        config: SandboxConfig,
        run_id: str,
        workdir: str = "/testbed",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.image = image
        self.workdir = workdir
        self._api = client.api
        self._client = client
        self._usable = True
        self._ran = False
        self._started = time.monotonic()
        self._container = ""
        self._watch: DiskWatch | None = None
        self._labels = {LABEL: run_id, OWNER_LABEL: owner()}
        self._env = {**ENVIRONMENT, **(env or {})}
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """False once closed, and after a timeout or a cap: take a new sandbox then."""
        return self._usable

    def exec(self, command: str, timeout: float = 60.0, user: str = "", workdir: str = "") -> Result:
        """Run `command` in bash and wait for it, at most `timeout` seconds from now."""
        deadline = time.monotonic() + timeout
        if len(command.encode()) > LONGEST_ARGUMENT:
            command = self._from_file(command)
        self._check_usable()
        # One pipe for both outputs: with two, their order in the result would be a race.
        argv = ["bash", "-c", 'exec bash -c "$1" 2>&1', "bash", command]
        try:
            with charged_to_docker("running a command"):
                exec_id = self._api.exec_create(
                    self._container, argv, user=user or self.config.user, workdir=workdir or self.workdir
                )["Id"]
                output, state = read_output(
                    self._api.exec_start(exec_id, socket=True), deadline, self.config.output_bytes
                )
                state = "disk_cap" if self._overfull else state
                exit_code = self._exit_code(exec_id) if state == "ok" else None
        except RowFailure as failure:
            raise self._explained(failure) from failure.__cause__
        text = output.decode("utf-8", "replace")
        if state != "ok":
            self.close()
        elif exit_code in (126, 127) and text.startswith((NOT_STARTED, STOPPED)):
            # Once a command has run, a missing workdir is the work of that command, and its result to see.
            if not (self._ran and WITHOUT_WORKDIR in text):
                raise self._explained(RowFailure("docker", text.splitlines()[0][:300]))
        elif exit_code is None or (exit_code == KILLED and self._has_ended()):
            raise self._ended()
        self._ran = True
        return Result(exit_code, text, state)

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file; its folder must exist."""
        self._check_usable()
        folder, name = posixpath.split(path)
        with charged_to_docker(f"copying {path} in"):
            self._api.put_archive(self._container, folder, pack(name, data, mode))

    def get(self, path: str, limit_bytes: int) -> bytes:
        """Read one regular file of at most `limit_bytes`; anything else is refused."""
        self._check_usable()
        try:
            with charged_to_docker(f"copying {path} out"):
                chunks, _ = self._api.get_archive(self._container, path)
                return unpack_one(chunks, path, limit_bytes)
        except RowFailure as failure:
            if "Could not find the file" in failure.message:
                raise RowFailure("sandbox", f"{path} was not copied out: there is no such file") from None
            raise

    def close(self) -> None:
        """Remove the container with everything in it; does nothing the second time."""
        self._usable = False
        container, self._container = self._container, ""
        if self._watch is not None:
            self._watch.stop()
        if container:
            remove_container(self._client, container)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exit_code(self, exec_id: str) -> int | None:
        """None where the container went down before the command began. Docker may know it a little after the output ends."""
        for pause in (0.0, 0.1, 0.3, 1.0):
            time.sleep(pause)
            if (code := self._api.exec_inspect(exec_id)["ExitCode"]) is not None:
                return int(code)
        return None

    @property
    def _overfull(self) -> bool:
        return self._watch is not None and self._watch.over

    def _from_file(self, command: str) -> str:
        """Put a long command into a file that is gone before the command starts: it may hold what must not leak."""
        self._check_usable()
        with charged_to_docker("copying a command in"):
            self._api.put_archive(self._container, "/tmp", pack_in_folder(".contextrl", "command", command.encode()))
        return "source <(cat /tmp/.contextrl/command; rm -f /tmp/.contextrl/command)"

    def _explained(self, failure: RowFailure) -> RowFailure:
        """Tell the task's faults, and the end of the container, from Docker's own."""
        from docker.errors import APIError

        if 'exec: "bash"' in failure.message:
            return UnusableTask("image without bash", self.image)
        if WITHOUT_WORKDIR in failure.message:
            return UnusableTask("image without the task's workdir", f"{self.image} has no {self.workdir}")
        gone = isinstance(failure.__cause__, APIError) and failure.__cause__.status_code in (404, 409)
        # A container that is going down refuses commands in many words, before Docker calls it stopped.
        refused = any(words in failure.message for words in (NOT_STARTED, STOPPED, GOING_DOWN))
        return self._ended() if gone or (refused and self._has_ended()) else failure

    def _ended(self) -> RowFailure:
        """The container's first process was killed, or its time to live ran out: nothing to grade."""
        self.close()
        if self._ran or time.monotonic() - self._started >= self.config.ttl_seconds or self._starts_at_last():
            return SandboxOver("sandbox", "the container ended while it was in use")
        return UnusableTask("image does not start", f"{self.image} has no working `sleep`, or too little memory")

    def _starts_at_last(self) -> bool:
        """Whether a second container of the image lives, or is killed too: then the image is not at fault."""
        try:
            self._create(auto_remove=False)  # else its exit code may be gone before it is asked for
            with charged_to_docker("waiting for a container"):
                return bool(self._api.wait(self._container, timeout=SECOND_TRY)["StatusCode"] == KILLED)
        except RowFailure:  # it outlived the wait; or the daemon is in trouble, which is no label either
            return True
        finally:
            self.close()

    def _has_ended(self) -> bool:
        """Tell a killed command from a container that is going down with it, which Docker notices a little later."""
        if time.monotonic() - self._started >= self.config.ttl_seconds - 1:
            return True
        for pause in (0.0, 0.3, 1.0):  # on a machine that is very busy, the last one too is needed now and then
            time.sleep(pause)
            try:
                with charged_to_docker("looking at a container"):
                    if not self._api.inspect_container(self._container)["State"]["Running"]:
                        return True
            except RowFailure:
                return True
        return False

    def _check_usable(self) -> None:
        if not self._usable:
            raise SandboxOver("sandbox", "it was closed, ran out of time or flooded its output or disk; start another")

    def _start(self) -> None:
        from docker.errors import ImageNotFound

        try:
            self._create()
        except RowFailure as failure:
            if not isinstance(failure.__cause__, ImageNotFound):
                raise
            with needed(self._client, self.image, self.config.image_budget):
                fetch_image(self._client, self.image)
                self._create()
        note_use(self._client, self.image)

    def _create(self, auto_remove: bool = True) -> None:
        with charged_to_docker(f"starting {self.image}"):
            self._container = create_container(
                self._api, self.image, self.config, self._labels, self._env, auto_remove=auto_remove
            )
            self._api.start(self._container)
        self._watch = DiskWatch(self._api, self._container, self.config.disk_bytes)
        self._watch.start()
