"""A Docker daemon of the campaign's own, which may be killed: own socket, own data, no bridge, no firewall rules."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

START_SECONDS = 60


class CannotStart(Exception):
    """This machine does not let us start a daemon; the message says why."""


class Engine:
    """One dockerd with its containerd. Everything in it is the campaign's, so everything in it can be counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, tries: int = 4) -> None:
        """Start it and wait until it answers.

        Raises:
            CannotStart: it does not.
        """
        if os.geteuid() != 0 or shutil.which("dockerd") is None:
            raise CannotStart("a daemon of one's own needs root and dockerd")
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(tries):  # on a busy machine containerd may need longer than dockerd waits for it
            self._launch()
            assert self._process is not None
            end = time.monotonic() + START_SECONDS
            while self._process.poll() is None and time.monotonic() < end:
                if self._answers():
                    return
                time.sleep(0.1)
            self.stop()
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        raise CannotStart(f"dockerd does not start: {lines[-1][-300:] if lines else 'it says nothing'}")

    def _launch(self) -> None:
        names = {"host": self.host, "data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        places = [f"--{name}={place if '://' in place else self.folder / place}" for name, place in names.items()]
        apart = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *places, *apart], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it in good order; its images stay in its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        for path in Path("/proc").glob("[0-9]*/cmdline"):  # shims of a containerd that was killed with its daemon
            with suppress(OSError):
                if f"{self.folder}/exec/".encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if (place := line.split()[1]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], check=False)

    def load(self, tag: str) -> None:
        """Copy an image from the machine's own daemon, once."""
        if self._asked("images", "--quiet", tag):
            return
        with subprocess.Popen(["docker", "save", tag], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "-H", self.host, "load", "--quiet"], stdin=saved.stdout, check=True, capture_output=True
            )
        assert saved.returncode == 0, f"docker save {tag} ended with {saved.returncode}"

    def containers(self) -> list[str]:
        """Ids of all containers, running or not."""
        return self._asked("ps", "--all", "--quiet", "--no-trunc")

    def kill_container(self, container: str) -> bool:
        """SIGKILL a container from outside; false where it was gone already."""
        return not subprocess.run(["docker", "-H", self.host, "kill", container], capture_output=True).returncode

    def holdings(self) -> dict[str, set[str]]:
        """Ids of everything that a run could leave behind."""
        return {
            "container": set(self.containers()),
            "volume": set(self._asked("volume", "ls", "--quiet")),
            "network": set(self._asked("network", "ls", "--quiet", "--no-trunc")),
            "image": set(self._asked("images", "--all", "--quiet", "--no-trunc")),
        }

    def _answers(self) -> bool:
        done = subprocess.run(["docker", "-H", self.host, "version"], capture_output=True)
        return done.returncode == 0

    def _asked(self, *words: str) -> list[str]:
        done = subprocess.run(["docker", "-H", self.host, *words], capture_output=True, text=True, check=True)
        return done.stdout.split()

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
