"""Chosen rows of a finished stage, worked on by this machine's cores inside a stage that sees all rows at once."""

from __future__ import annotations

import multiprocessing
import signal
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from contextrl_data.pipeline.errors import ContextRLError
from contextrl_data.pipeline.executors.local import AHEAD, end_with_parent
from contextrl_data.pipeline.stage import Row, Rows
from contextrl_data.pipeline.stored import FEW, StoredRows, picked, places_of

ENOUGH = 1000
"""Rows from which processes earn back their start: some seconds, where a row takes some thousandths."""

Given = TypeVar("Given")
Made = TypeVar("Made")

_work: tuple[StoredRows, Callable[[Row, Any], Any]] | None = None  # one per worker process, set by _begin


def spread(
    work: Callable[[Row, Given], Made], rows: Rows, wanted: Mapping[str, Given], workers: int
) -> Iterator[tuple[str, Made]]:
    """Each id in `wanted` that a row has, with `work(row, wanted[id])`, in the order of the rows.

    `work` must be the same in any process: a function of a module that uses no `hash` of a text.
    """
    if workers == 1 or len(wanted) < ENOUGH or not isinstance(rows, StoredRows):
        yield from ((row["id"], work(row, wanted[row["id"]])) for row in picked(rows, wanted))
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin, initargs=(rows, work))
    flying: deque[tuple[list[str], Future[list[Made]]]] = deque()
    batches = _batches(rows, wanted)
    try:
        while True:
            for places, ids in islice(batches, workers * AHEAD - len(flying)):
                flying.append((ids, pool.submit(_run, places, [wanted[one] for one in ids])))
            if not flying:
                return
            ids, future = flying.popleft()
            yield from zip(ids, future.result(), strict=True)
    except BrokenProcessPool as error:
        raise ContextRLError("a worker died (killed, or out of memory): run again") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(rows: StoredRows, wanted: Mapping[str, Any]) -> Iterator[tuple[list[int], list[str]]]:
    """Places and ids that are read at one go."""
    places, ids = places_of(rows, wanted)
    ends = rows.ends()
    most = FEW if rows.in_pieces else len(rows)
    first = 0
    while first < len(places):
        end = ends[bisect_right(ends, places[first])]
        last = min(bisect_left(places, end), first + most)
        yield places[first:last], ids[first:last]
        first = last


def _begin(rows: StoredRows, work: Callable[[Row, Any], Any]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    end_with_parent()
    _work = rows, work


def _run(places: list[int], given: list[Any]) -> list[Any]:
    assert _work is not None
    rows, work = _work
    return [work(row, one) for row, one in zip(rows.at(places), given, strict=True)]
