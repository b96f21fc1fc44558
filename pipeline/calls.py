"""What was paid for: one line per call of a model, beside the rows of its stage and never among them.

    data/runs/<stage>-<key>/calls/<machine>-<pid>-<random>.jsonl

Every process writes files of its own, so that workers on other nodes need nothing but the shared store. A line is
handed to the system at the end of a call, before the reply is used: a kill loses none but that of a call under way.
Lines stay when a build resumes, and when the stage is begun again: what was paid twice is counted twice.
"""

from __future__ import annotations

import errno
import math
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from contextrl_data.pipeline.store import StageFolder, disk_error

OK = "ok"


@dataclass
class Call:
    """One call of a model, answered or not."""

    stage: str
    row: str
    """Id of the row that it was made for; empty where it served no row."""
    model: str
    attempt: int = 1
    """1, and more where the server failed before."""
    asked: int = 1
    """1, and more where the reply before had not the form that was asked for."""
    status: str = OK
    """`ok`, or the kind of error; a provider may bill a call that failed."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    dollars: float | None = None
    """None where the price, or what was used, is not known."""
    seconds: float = 0.0
    ended: float = 0.0
    """Seconds since 1970."""


class CallLedger:
    """Writes the calls of one stage in this process. Safe for any number of threads.

    Args:
        folder: the stage's folder; None keeps no books (a client that serves no build).
        stage: its name.
    """

    def __init__(self, folder: Path | None, stage: str) -> None:
        self._folder = None if folder is None else StageFolder(folder).calls
        self._stage = stage
        self._lock = threading.Lock()
        self._name = _fresh_name()

    @contextmanager
    def call(self, model: str, row: str = "", attempt: int = 1, asked: int = 1) -> Iterator[Call]:
        """Around one call; who makes it fills in what it used. An error is noted, and goes on.

        Raises:
            SetupError: the line cannot be written.
        """
        call = Call(self._stage, row, model, attempt, asked)
        begun = time.monotonic()
        try:
            yield call
        except BaseException as error:
            call.status = type(error).__name__
            raise
        finally:
            call.seconds, call.ended = round(time.monotonic() - begun, 3), round(time.time(), 3)
            self._append(call)

    def _append(self, call: Call) -> None:
        if self._folder is None:
            return
        line = orjson.dumps(asdict(call)) + b"\n"
        with self._lock:
            path = self._folder / self._name
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                try:
                    if os.write(handle, line) < len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                finally:
                    os.close(handle)
            except OSError as error:
                self._name = _fresh_name()  # half a line may stand at the end of the other file
                raise disk_error(path, error) from error


def _fresh_name() -> str:
    return f"{platform.node() or 'node'}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"


def read_calls(folder: StageFolder) -> Iterator[Call]:
    """Every call of a stage, file by file; a line that a full disk cut short is left out."""
    for path in sorted(folder.calls.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            if (call := _read(line)) is not None:
                yield call


def _read(line: bytes) -> Call | None:
    try:
        record: dict[str, Any] = orjson.loads(line)
        return Call(**record)
    except (orjson.JSONDecodeError, TypeError):
        return None


@dataclass(frozen=True)
class Spent:
    """Calls of one stage and one model, summed."""

    stage: str
    model: str
    calls: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float
    unpriced: int
    """Calls that were answered and whose price is not known."""
    seconds: float
    """Of all calls together; many run side by side."""


def summed(calls: Iterable[Call]) -> list[Spent]:
    """Calls by stage and model, in the order in which the stages come."""
    groups: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.stage, call.model), []).append(call)
    return [
        Spent(
            stage=stage,
            model=model,
            calls=len(some),
            failed=sum(call.status != OK for call in some),
            prompt_tokens=sum(call.prompt_tokens or 0 for call in some),
            completion_tokens=sum(call.completion_tokens or 0 for call in some),
            dollars=dollars_of(some),
            unpriced=sum(call.status == OK and call.dollars is None for call in some),
            seconds=round(math.fsum(call.seconds for call in some), 3),
        )
        for (stage, model), some in groups.items()
    ]


def dollars_of(calls: Iterable[Call]) -> float:
    """What the calls with a known price took."""
    return round(math.fsum(call.dollars or 0.0 for call in calls), 6)


class Meter:
    """Dollars that a running stage has spent so far, by all its workers: reads on where its files grow."""

    EVERY = 1.0
    """Seconds between two looks."""

    def __init__(self, folder: StageFolder) -> None:
        self._folder = folder
        self._ends: dict[Path, int] = {}
        self._dollars = 0.0
        self._looked = -math.inf

    def dollars(self) -> float:
        """The sum, at most `EVERY` seconds old."""
        if time.monotonic() - self._looked >= self.EVERY:
            self._looked = time.monotonic()
            for path in self._folder.calls.glob("*.jsonl"):
                self._dollars += self._more(path)
        return self._dollars

    def _more(self, path: Path) -> float:
        with path.open("rb") as handle:
            handle.seek(self._ends.get(path, 0))
            whole = handle.read().rpartition(b"\n")[0]
        self._ends[path] = self._ends.get(path, 0) + len(whole) + bool(whole)
        return math.fsum(call.dollars or 0.0 for line in whole.splitlines() if (call := _read(line)) is not None)
