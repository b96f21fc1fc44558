"""Count, while a dataset is written, what its card must say: sources, licences, models, kinds, blind baselines."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.audit import summarise
from contextrl_data.stages.audit.statistics import interval
from contextrl_data.stages.difficulty import PASS_RATE

COUNTED = ("domain", "kind", "view", "repo", "verdict", "judge", "tokenizer", "licence", "source")
"""Columns of coding pairs whose values are counted."""

BENCHMARK_MARK = "[benchmark]"
"""Stands behind the source of rows that a setting let in although models are measured on them."""


def dataset_key(files: Iterable[Mapping[str, Any]]) -> str:
    """Sixteen hexadecimal digits that stand for a dataset's rows: made from the names and digests of its data files alone."""
    listed = sorted(f"{file['id']}\0{file['sha256']}\n" for file in files)
    return hashlib.sha256("".join(listed).encode()).hexdigest()[:16]


class FactCounter:
    """Sees every exported row once; holds counts and scores, never a context."""

    family: ClassVar[str] = "coding"
    """Which card the record is for."""
    counted: ClassVar[tuple[str, ...]] = COUNTED
    both: ClassVar[dict[str, str]] = {"model": "model"}
    """Name -> column stem: values of the `_pos` and the `_neg` column together, each counted once a row."""
    contexts: ClassVar[tuple[str, str]] = ("trajectories", "trajectory")
    """What the contexts are called, and the stem of the columns that hold their ids."""

    def __init__(self, title: str, benchmarks: Sequence[str]) -> None:
        self.title, self.benchmarks = title, [name.lower() for name in benchmarks]
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in (*self.counted, *self.both)}
        self.checks: Counter[tuple[str, str]] = Counter()
        self.licences: dict[str, set[str]] = {}
        self.distinct: dict[str, set[str]] = {"groups": set(), self.contexts[0]: set(), "pairs": set()}
        self.scores: dict[str, list[dict[str, float]]] = {}
        self.nbytes: Counter[str] = Counter()
        self.tokens: list[int] = []
        self.chosen: list[tuple[float, str]] = []
        """Of every row that a model was asked: its share of right choices, and the row's group."""

    def see(self, split: str, rows: Iterable[Row], nbytes: int) -> None:
        """Count some rows of one split."""
        self.nbytes[split] += nbytes
        for row in rows:
            for name in self.counted:
                self.counts[name][row.get(name) or ""] += 1
            for name, stem in self.both.items():
                for value in sorted({row[f"{stem}_pos"] or "", row[f"{stem}_neg"] or ""}):
                    self.counts[name][value] += 1
            for check in row["checks"] or []:
                passed = {True: "passed", False: "failed", None: "not checked"}[check["passed"]]
                self.checks[check["name"], passed] += 1
            self.licences.setdefault(row["source"] or "", set()).add(row["licence"] or "")
            self.distinct["groups"].add(row["group"])
            self.distinct[self.contexts[0]].update(row[f"{self.contexts[1]}_{side}"] for side in ("pos", "neg"))
            self.distinct["pairs"].add(row["pair_id"])
            self.scores.setdefault(split, []).append({one["name"]: one["value"] for one in row["blind_scores"]})
            if row.get("tokens") is not None:
                self.tokens.append(row["tokens"])
            measures = {one["name"]: one["value"] for one in row.get("measures") or []}
            if measures.get(PASS_RATE) is not None:
                self.chosen.append((measures[PASS_RATE], row["group"]))

    def finish(self, splits: dict[str, int], files: list[Row]) -> dict[str, Any]:
        """Everything as one JSON-ready record, in a fixed order."""
        tokens = sorted(self.tokens)
        return {
            "title": self.title,
            "family": self.family,
            "key": dataset_key(files),
            "rows": sum(splits.values()),
            "splits": {
                split: {
                    "rows": count,
                    "nbytes": self.nbytes[split],
                    "baselines": [asdict(result) for result in summarise(self.scores[split])],
                }
                for split, count in splits.items()
            },
            "files": files,
            "counts": {name: dict(sorted(counter.items())) for name, counter in self.counts.items()},
            "distinct": {name: len(values) for name, values in self.distinct.items()},
            "checks": [[name, passed, count] for (name, passed), count in sorted(self.checks.items())],
            "sources": [self._source(source) for source in sorted(self.licences)],
            "baselines": [
                asdict(result) for result in summarise(one for scores in self.scores.values() for one in scores)
            ],
            "answerability": self._answerability(),
            "tokens": {"median": tokens[len(tokens) // 2], "longest": tokens[-1]} if tokens else {},
            "funnel": [],
            "config": {},
        }

    def _answerability(self) -> dict[str, float]:
        """How often the model of the difficulty filter picks C+ of the exported rows; empty where none was asked."""
        if not self.chosen:
            return {}
        places = {group: place for place, group in enumerate(sorted({group for _, group in self.chosen}))}
        rates = np.array([rate for rate, _ in self.chosen])
        low, high, _ = interval(rates, np.array([places[group] for _, group in self.chosen]))
        return {"rows": len(rates), "accuracy": float(rates.mean()), "low": low, "high": high}

    def _source(self, source: str) -> dict[str, Any]:
        return {
            "source": source,
            "licences": sorted(self.licences[source]),
            "rows": self.counts["source"][source],
            "benchmark": any(name in source.lower() for name in (*self.benchmarks, BENCHMARK_MARK)),
        }


class ImageFacts(FactCounter):
    """The same for image pairs."""

    family: ClassVar[str] = "images"
    counted: ClassVar[tuple[str, ...]] = ("domain", "method", "renderer", "verdict", "judge", "licence", "source")
    both: ClassVar[dict[str, str]] = {}
    contexts: ClassVar[tuple[str, str]] = ("images", "image_id")
