"""The whole audit of one dataset: read it once, measure every pair, then look at all of them together."""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, Literal

import numpy as np

from contextrl_data.pipeline.errors import ContextRLError, InputError
from contextrl_data.pipeline.executors.local import cores, end_with_parent
from contextrl_data.stages.audit.baselines import wilson_interval
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.contamination import contamination, licences
from contextrl_data.stages.audit.duplicates import duplicates
from contextrl_data.stages.audit.groups import Clustering, cluster, pair_names
from contextrl_data.stages.audit.guessers import Scored, all_scores
from contextrl_data.stages.audit.measure import Measured, measure_batch
from contextrl_data.stages.audit.pairs import ColumnMap, Pair
from contextrl_data.stages.audit.reading import Opened, open_dataset
from contextrl_data.stages.audit.result import AuditResult, Finding, Guess
from contextrl_data.stages.audit.statistics import can_be_called, holm, interval, p_value
from contextrl_data.stages.audit.texts import BenchmarkTexts, read_benchmark_texts

SERIAL = 8
"""Batches up to which no worker process is started."""
AHEAD = 4
"""Batches in flight per worker."""


def audit_dataset(name: str, config: AuditConfig) -> AuditResult:
    """Audit a local file or folder, or a Hub dataset.

    Raises:
        InputError: it cannot be read, its columns do not fit, or it holds no pair.
        MissingExtra: a package of the extra [audit] is missing.
    """
    opened = open_dataset(name, config)
    columns = ColumnMap(config.columns, opened)
    benchmark = read_benchmark_texts(config.contamination.texts, config.contamination.ngram, config.contamination.share)
    reader = _Reader(opened, columns, config)
    rows = list(_measured(reader.batches(), benchmark, config.workers))
    if not rows:
        whole = (
            f"{len(reader.broken)} rows, but none is a pair: the first lacks {reader.lacks}"
            if reader.broken
            else "no row"
        )
        raise InputError(f"{name} holds {whole}", "name a dataset with pairs, or mend --set columns.NAME=COLUMN")
    return _judge(name, rows, columns, config, reader.broken)


class _Reader:
    """Streams pairs, and remembers the rows that are none."""

    def __init__(self, opened: Opened, columns: ColumnMap, config: AuditConfig) -> None:
        self.opened, self.columns, self.config = opened, columns, config
        self.broken: list[str] = []
        self.lacks = ""
        """What the first row that is no pair lacks."""

    def batches(self) -> Iterator[list[Pair]]:
        number, taken = 0, Counter[str]()
        for part in self.opened.parts:
            for rows in part.read(self.columns.wanted):
                pairs = []
                for row in rows:
                    number += 1
                    pair = self.columns.pair(row, part.split, number)
                    if pair is None:
                        self.broken.append(f"row {number}")
                        self.lacks = self.lacks or self.columns.lacking(row)
                        continue
                    taken[pair.split] += 1
                    if self.config.limit is None or taken[pair.split] <= self.config.limit:
                        pairs.append(pair)
                if pairs:
                    yield pairs
                if self.config.limit is not None and taken[part.split] >= self.config.limit:
                    break


def _measured(
    batches: Iterator[list[Pair]], benchmark: BenchmarkTexts | None, workers: int | None
) -> Iterator[Measured]:
    """Measure on all cores where there is enough to do; the order is that of the rows."""
    workers = workers or cores()
    first = list(islice(batches, SERIAL + 1))
    if workers == 1 or len(first) <= SERIAL:
        for batch in chain(first, batches):
            yield from measure_batch(batch, benchmark)
        return
    flying: deque[Future[list[Measured]]] = deque()
    spawn = multiprocessing.get_context("spawn")  # fork is unsafe once threads and Arrow run
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent) as pool:
        try:
            for batch in chain(first, batches):
                flying.append(pool.submit(measure_batch, batch, benchmark))
                if len(flying) >= workers * AHEAD:
                    yield from flying.popleft().result()
            while flying:
                yield from flying.popleft().result()
        except BrokenProcessPool as error:
            raise ContextRLError("a worker of the audit died (killed, or out of memory): set workers=1") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _judge(name: str, rows: list[Measured], columns: ColumnMap, config: AuditConfig, broken: list[str]) -> AuditResult:
    clustering = cluster(rows)
    scored = all_scores(rows, clustering, config)
    splits = dict(Counter(row.split for row in rows))
    findings = [*duplicates(rows, config.duplicates)]
    findings += contamination(rows, config.contamination, config.duplicates)
    findings += licences(rows, columns.has("licence"))
    if broken:
        findings.append(Finding.of("broken rows", "fail", "rows without an answer or without both contexts", broken))
    unread = [row.id for row in rows if row.pictures and not all(one.values for one in row.pictures)]
    if unread:
        findings.append(Finding.of("unreadable images", "fail", "rows with an image that cannot be decoded", unread))
    guesses = _guesses(scored, clustering, config)
    clusters, tested = len(np.unique(clustering.test)), sum(one.p is not None for one in guesses)
    if not can_be_called(clusters, tested, config.alpha):
        told = f"{clusters} independent clusters: too few for any guesser to be called off chance"
        findings.append(Finding.of("few clusters", "warn", told, [], count=clusters))
    kind: Literal["text", "image", "embedding"] = (
        "image" if "image" in columns.kinds else "text" if "context" in columns.kinds else "embedding"
    )
    return AuditResult(
        dataset=name,
        rows=len(rows),
        pairs=len(set(pair_names(rows))),
        clusters=clusters,
        splits=splits,
        kind=kind,
        alpha=config.alpha,
        guesses=guesses,
        split_guesses=[
            _measure(one, split, np.array([row.split == split for row in rows]), clustering)
            for split in (splits if len(splits) > 1 else ())
            for one in scored
        ],
        balance=list(_balance(rows, splits)),
        findings=findings,
        notes=[clustering.note] if clustering.note else [],
        ignored=[*config.ignore],
    )


def _measure(one: Scored, split: str, mask: Any, clustering: Clustering) -> Guess:
    there = mask & ~np.isnan(one.scores)
    if not there.any():
        return Guess(one.name, split, note=one.note or "no pair that it applies to")
    scores, clusters = one.scores[there], np.unique(clustering.test[there], return_inverse=True)[1]
    low, high, effective = interval(scores, clusters, learned=one.forward is not None)
    note = one.note or ("never tells the two apart" if bool((scores == 0.5).all()) else "")
    return Guess(one.name, split, float(scores.mean()), low, high, len(scores), effective, note=note)


def _p_value(one: Scored, clustering: Clustering, tolerance: float) -> float | None:
    scores = one.scores if one.forward is None else one.forward
    there = ~np.isnan(scores)
    if not there.any():
        return None
    clusters = np.unique(clustering.test[there], return_inverse=True)[1]
    return p_value(scores[there], clusters, one_sided=one.forward is not None, tolerance=tolerance)


def _guesses(scored: Sequence[Scored], clustering: Clustering, config: AuditConfig) -> list[Guess]:
    """Every guesser over the whole set, with the verdict that Holm's rule allows."""
    p_values = [_p_value(one, clustering, config.tolerance) for one in scored]
    tested = [value for value in p_values if value is not None]
    adjusted = iter(holm(tested))
    guesses = []
    for one, value in zip(scored, p_values, strict=True):
        guess = _measure(one, "all", np.ones(len(one.scores), bool), clustering)
        if value is None or guess.accuracy is None:
            guesses.append(guess)
            continue
        corrected = next(adjusted)
        side: Literal["above", "below"] = "above" if guess.accuracy > 0.5 else "below"
        verdict: Literal["chance", "above", "below"] = side if corrected < config.alpha else "chance"
        measured = {
            key: getattr(guess, key) for key in ("name", "split", "accuracy", "low", "high", "n", "effective_n", "note")
        }
        guesses.append(Guess(**measured, p=value, p_adjusted=corrected, verdict=verdict))
    return guesses


def _balance(rows: Sequence[Measured], splits: dict[str, int]) -> Iterator[dict[str, Any]]:
    """How often C+ is shown first, by split."""
    for split in splits:
        shown = [row.correct_first for row in rows if row.split == split and row.correct_first is not None]
        if shown:
            low, high = wilson_interval(sum(shown), len(shown))
            yield {"split": split, "rows": len(shown), "first": sum(shown) / len(shown), "low": low, "high": high}
