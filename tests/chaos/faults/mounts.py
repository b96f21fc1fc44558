"""Small file systems of the campaign's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SIZE = 48 << 20


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
