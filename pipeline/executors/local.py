"""Workers on this machine: threads for stages that wait (Docker, HTTP), processes for stages that compute."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from contextrl_data.pipeline.errors import ContextRLError
from contextrl_data.pipeline.executors import Batch, Job, Places
from contextrl_data.pipeline.stage import Map, Outcome, Row

AHEAD = 4
"""Batches in flight per worker: enough to keep each busy, few enough to bound memory."""

_job: Job | None = None  # one per worker process, set by _start


def _start(job: Job) -> None:
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    end_with_parent()
    job.stage.open(job.context)
    _job = job


def end_with_parent() -> None:
    """Called in a worker process: it ends when the main process does.

    One that is killed tells nobody, and its workers would wait for work for ever.
    """

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def _run(batch: list[Row] | Places) -> list[Outcome]:
    assert _job is not None
    return _job.run(batch)


class LocalExecutor:
    """Runs batches on this machine's cores."""

    def workers(self, stage: Map[Any]) -> int:
        """Processes: one per core. Threads around containers: two per core (measured best, see docs/benchmarks.md)."""
        return cores() if stage.work == "process" else 2 * cores()

    def run(self, job: Job, batches: Iterator[Batch], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
        """See `Executor.run`."""
        if job.stage.work == "thread" or workers == 1:
            yield from self._threads(job, batches, workers)
        else:
            yield from self._processes(job, batches, workers)

    def _threads(self, job: Job, batches: Iterator[Batch], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
        first = next(batches, None)
        if first is None:  # nothing left to do: do not open the stage (it may start Docker or a model client)
            return
        job.stage.open(job.context)
        try:
            if workers == 1:
                yield first[0], job.run(first[1])
                for number, rows in batches:
                    yield number, job.run(rows)
                return
            pool = ThreadPoolExecutor(workers, thread_name_prefix=job.stage.name)
            yield from _drain(pool, job.run, _chain(first, batches), workers)
        finally:
            job.stage.close()

    def _processes(self, job: Job, batches: Iterator[Batch], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
        first = next(batches, None)
        if first is None:
            return
        spawn = multiprocessing.get_context("spawn")  # fork is unsafe once threads and Arrow run
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start, initargs=(job,))
        try:
            yield from _drain(pool, _run, _chain(first, batches), workers)
        except BrokenProcessPool as error:
            raise ContextRLError(
                f"a worker of stage {job.stage.name!r} died (killed, or out of memory); finished rows are saved: run again"
            ) from error


def _chain(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest


def _drain(
    pool: Executor, run: Callable[[list[Row] | Places], list[Outcome]], batches: Iterator[Batch], workers: int
) -> Iterator[tuple[int, list[Outcome]]]:
    """Keep `workers * AHEAD` batches in flight; stop at the first exception, cancelling what has not begun.

    Somebody who stops the build does not wait for the rows in work: an agent's may take half an hour, and all of them
    are begun again by the next run in any case.
    """
    flying: dict[Future[list[Outcome]], int] = {}
    patient = True
    try:
        while True:
            for number, rows in islice(batches, workers * AHEAD - len(flying)):
                flying[pool.submit(run, rows)] = number
            if not flying:
                return
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                number = flying.pop(future)
                yield number, future.result()
    except (KeyboardInterrupt, GeneratorExit):
        patient = isinstance(pool, ProcessPoolExecutor)
        raise
    finally:
        pool.shutdown(wait=patient, cancel_futures=True)


def cores() -> int:
    """Cores of this machine that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
