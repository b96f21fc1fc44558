"""What a worker on a Ray node must find as the build has it: the store, and this package's version."""

from __future__ import annotations

import os
import platform
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.pipeline.executors import Job
from contextrl_data.pipeline.origin import package_version

LOOKS = 10
"""Looks, half a second apart, until a shared file system has shown a worker a new file."""


@dataclass(frozen=True)
class Home:
    """What the build's own process has, and every worker must find the same."""

    cwd: str
    mark: Path
    """A file in the stage's folder, there while the stage runs."""
    token: str
    package: str
    version: int
    """Of the stage."""

    @classmethod
    def of(cls, job: Job) -> Home:
        """Lay the mark down."""
        mark = job.context.folder.absolute() / ".seen"
        token = secrets.token_hex(8)
        mark.write_text(token)
        return cls(str(Path.cwd()), mark, token, package_version(), job.stage.version)

    def enter(self, job: Job) -> None:
        """Called in a worker: relative paths mean there what they mean here, and both are one program on one store.

        Raises:
            SetupError: they are not.
        """
        with suppress(OSError):  # a folder that this node lacks; then only absolute paths work, and the mark tells
            os.chdir(self.cwd)
        if (found := package_version()) != self.package or job.stage.version != self.version:
            raise SetupError(
                f"node {platform.node()} has contextrl-data {found} with version {job.stage.version} of stage "
                f"{job.stage.name!r}, and the build has {self.package} with version {self.version}",
                "install the same on every node, and start Ray there again",
            )
        for _ in range(LOOKS):
            with suppress(OSError):
                if self.mark.read_text() == self.token:
                    return
            time.sleep(0.5)
        raise SetupError(
            f"node {platform.node()} does not see {self.mark.parent} as the build does",
            "choose a folder that all nodes share: --set run.root=FOLDER",
        )
