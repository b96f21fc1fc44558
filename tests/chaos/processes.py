"""Processes of a build, found by a mark in their environment, which children inherit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

MARK = "CONTEXTRL_CHAOS"


def marked(mark: str) -> list[int]:
    """Ids of all processes that were started with this mark and still live."""
    found = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [pid for pid in found if _has(pid, mark)]


def workers(main: int) -> list[int]:
    """Ids of the pool's processes of a build whose main process is `main`."""
    children = [pid for task in Path(f"/proc/{main}/task").glob("*/children") for pid in task.read_text().split()]
    return [int(pid) for pid in children if b"spawn_main" in _read(int(pid), "cmdline")]


def kill(pid: int) -> bool:
    """SIGKILL; false where the process was gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def left_after(mark: str, seconds: float) -> list[int]:
    """Those that still live so many seconds from now; returns as soon as none does."""
    end = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def _has(pid: int, mark: str) -> bool:
    return f"{MARK}={mark}".encode() in _read(pid, "environ").split(b"\0")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
