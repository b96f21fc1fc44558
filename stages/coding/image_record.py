"""Which images were made or pulled here, when each was used last, and who is about to use one.

A file of the user's own, shared by all processes under a lock. What is not in it was never ours, and is never removed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import orjson

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.pipeline.store import disk_error, write_atomic
from contextrl_data.stages.coding.daemon import owner, owner_is_dead

Origin = Literal["built", "pulled"]


@dataclass
class Noted:
    """One image of one daemon."""

    origin: Origin
    used: float
    """Seconds since 1970."""
    holders: list[str] = field(default_factory=list)
    """Processes that are about to start a container of it, once for each; for one that was built: that have used it."""

    def held(self) -> bool:
        """Whether a process that may still live holds it."""
        return any(not owner_is_dead(name) for name in self.holders)


def record_file() -> Path:
    """Where the record lies: below the user's state folder."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "contextrl-data" / "images.json"


@contextmanager
def opened(daemon: str, *, must: bool = False) -> Iterator[dict[str, Noted]]:
    """The images of one daemon, by reference; what is changed within is kept. Others wait meanwhile.

    Raises:
        SetupError: `must` is set (a budget is to be held), and the file cannot be written. Without it nothing is kept.
    """
    path = record_file()
    try:
        lock = _locked(path)
    except OSError as error:
        if must:
            raise _not_kept(disk_error(path, error)) from error
        yield {}
        return
    with lock:
        everything = _read(path)
        images = {name: Noted(**one) for name, one in everything.get(daemon, {}).items()}
        yield images
        everything[daemon] = {name: asdict(one) for name, one in sorted(images.items())}
        try:
            _write(path, orjson.dumps(everything, option=orjson.OPT_INDENT_2))
        except (OSError, SetupError) as error:  # a full disk: what is not kept costs room one day, and no build now
            if must:
                raise _not_kept(error if isinstance(error, SetupError) else disk_error(path, error)) from error


def _locked(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_suffix(".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        lock.close()
        raise
    return lock


def _write(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        write_atomic(path, data)


def _not_kept(error: SetupError) -> SetupError:
    return SetupError(
        error.problem,
        "free space or permissions there, set XDG_STATE_HOME to another folder, or no sandbox.image_budget",
    )


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    try:
        loaded: dict[str, dict[str, dict[str, Any]]] = orjson.loads(path.read_bytes())
        for images in loaded.values():
            for one in images.values():
                Noted(**one)
        return loaded
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a record that is lost costs room, never an image


def hold(images: dict[str, Noted], image: str, origin: Origin) -> None:
    """Note that this process made or pulled an image, or is about to, and needs it."""
    noted = images.setdefault(image, Noted(origin, 0.0))
    noted.used = round(time.time(), 3)
    noted.holders = [*(name for name in noted.holders if not owner_is_dead(name)), owner()]


def let_go(images: dict[str, Noted], image: str) -> None:
    """Take one hold of this process back."""
    if image in images and owner() in images[image].holders:
        images[image].holders.remove(owner())
