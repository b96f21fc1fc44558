"""A disk that fills up: the run's folder is a small file system of its own, and ENOSPC is the kernel's."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chaos.episode import Episode
from chaos.faults import OnBuilds
from chaos.world import World

SIZE = 48 << 20


@dataclass(frozen=True)
class DiskFull(OnBuilds):
    """An ext4 image on a loop device; a tmpfs where loop devices are not to be had."""

    name: str = "disk full"

    def lacking(self, world: World) -> str:
        """The right to mount."""
        place = world.folder / "mount-trial"
        place.mkdir(exist_ok=True)
        try:
            mount(place)
        except OSError as error:
            return f"nothing can be mounted here ({error})"
        unmount(place)
        return ""

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        mount(episode.folder)
        episode.fill()
        ballast = episode.folder / "ballast"
        sizes = sum(path.stat().st_size for path in episode.build.runs.rglob("*") if path.is_file())
        for _ in range(most):
            free = shutil.disk_usage(episode.folder).free
            leave(ballast, max(free - int(draw.triangular(0, sizes, sizes / 8)), 0))
            code = episode.finish(episode.start())
            ballast.unlink()
            if code == 0:
                return
            episode.struck += 1


def leave(path: Path, size: int) -> None:
    """Write a file of so many bytes, or as many as there is room for."""
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        except OSError:
            file.truncate(0)


def mount(place: Path) -> None:
    """Put a file system of its own at `place`.

    Raises:
        OSError: that is not allowed here.
    """
    image = place.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(SIZE)
    for command in (["mkfs.ext4", "-q", "-F", "-m", "0", image], ["mount", "-o", "loop", image, place]):
        if shutil.which(command[0]) is None or subprocess.run(command, capture_output=True).returncode:
            image.unlink()
            break
    else:
        return
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", place]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr.strip())


def unmount(place: Path) -> None:
    """Take it away again, with all that is in it."""
    if os.path.ismount(place):
        subprocess.run(["umount", place], check=True)
    place.with_suffix(".img").unlink(missing_ok=True)
