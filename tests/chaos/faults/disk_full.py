"""A disk that fills up: the run's folder is a small file system of its own, and ENOSPC is the kernel's."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chaos.episode import Episode
from chaos.faults import Fault
from chaos.faults.mounts import mount, unmount
from chaos.world import World

BLOCK = 4096


@dataclass(frozen=True)
class DiskFull(Fault):
    """An ext4 image on a loop device; a tmpfs where loop devices are not to be had."""

    name = "disk full"

    def lacking(self, world: World, build: str) -> str:
        """The right to mount."""
        if build not in world.builds:
            return world.lacking
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
        ahead = [episode.build.folder, *map(episode.build.stage_folder, episode.stages())]
        files = [path for name in ahead for path in (episode.build.runs / name).rglob("*") if path.is_file()]
        needed = sum(-(-path.stat().st_size // BLOCK) * BLOCK for path in files)
        for _ in range(most):
            free = shutil.disk_usage(episode.folder).free
            leave(ballast, free - int(draw.triangular(0, needed, 0)))
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
