"""Blind baselines: can someone who reads nothing pick the right context? Each accuracy with its 95 % interval.

A directed pair is a row with `answer` (the patch text), `context_pos`, `context_neg` (message lists) and
`correct_first` (whether the right context is shown first). A baseline scores it 1 (picks the right context),
0 (picks the wrong one) or 0.5 (cannot tell).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.lexical import (
    Idf,
    TextFeatures,
    changed_lines,
    context_text,
    identifiers,
    lines_found,
    text_features,
)

_Z95 = 1.959963984540054


class Baseline(Protocol):
    """A guesser that does not read: named, and scored on one directed pair at a time."""

    @property
    def name(self) -> str:
        """Under which its score is reported."""
        ...

    def score(self, pair: Row) -> float:
        """1.0 when it picks the right context, 0.0 when it picks the wrong one, 0.5 when it cannot tell."""
        ...


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """How often one baseline was right. `n` counts the pairs, ties included as half a hit."""

    name: str
    accuracy: float
    low: float
    high: float
    n: int

    @property
    def at_chance(self) -> bool:
        """Whether the interval contains one half."""
        return self.low <= 0.5 <= self.high


def wilson_interval(hits: float, n: float, z: float = _Z95) -> tuple[float, float]:
    """Wilson score interval of a proportion; (0, 1) where nothing was measured. `n` may be an effective number."""
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Rounding must not push an end past the proportion itself (all hits, no hits).
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def _prefer(right: float, wrong: float) -> float:
    if math.isclose(right, wrong, rel_tol=1e-9, abs_tol=1e-12):
        return 0.5
    return 1.0 if right > wrong else 0.0


def _contexts(pair: Row) -> tuple[TextFeatures, TextFeatures]:
    return text_features(context_text(pair["context_pos"])), text_features(context_text(pair["context_neg"]))


@dataclass(frozen=True)
class Identifiers:
    """Picks the context that holds more of the answer's identifiers, rare ones counting more."""

    name: ClassVar[str] = "identifiers"
    idf: Mapping[str, float]

    def score(self, pair: Row) -> float:
        """See `Baseline`."""
        names = sorted(identifiers(pair["answer"]))
        right, wrong = (
            math.fsum(self.idf[name] for name in names if name in context.names) for context in _contexts(pair)
        )
        return _prefer(right, wrong)


@dataclass(frozen=True)
class PatchLines:
    """Picks the context that shows more of the answer's removed lines, added lines, or both together.

    Removed and added are separate guessers as well: in sets where every bug sits in one clean commit they point
    to opposite contexts, and their sum would hide two perfect cues.
    """

    name: str
    removed: bool
    added: bool

    def score(self, pair: Row) -> float:
        """See `Baseline`."""
        removed, added = changed_lines(pair["answer"])
        lines = (removed if self.removed else []) + (added if self.added else [])
        right, wrong = (lines_found(lines, context.folded) for context in _contexts(pair))
        return _prefer(right, wrong)


@dataclass(frozen=True)
class Longer:
    """Picks the longer context."""

    name: ClassVar[str] = "longer"

    def score(self, pair: Row) -> float:
        """See `Baseline`."""
        right, wrong = _contexts(pair)
        return _prefer(right.length, wrong.length)


@dataclass(frozen=True)
class First:
    """Picks whatever is shown first."""

    name: ClassVar[str] = "first"

    def score(self, pair: Row) -> float:
        """See `Baseline`."""
        return 1.0 if pair["correct_first"] else 0.0


def default_baselines(idf: Mapping[str, float] | None = None) -> tuple[Baseline, ...]:
    """The shipped guessers. `idf` weighs identifiers; without it each counts the same."""
    return (
        Identifiers(Idf() if idf is None else idf),
        PatchLines("patch_lines", removed=True, added=True),
        PatchLines("removed_lines", removed=True, added=False),
        PatchLines("added_lines", removed=False, added=True),
        Longer(),
        First(),
    )


def blind_scores(pair: Row, baselines: Sequence[Baseline] | None = None) -> dict[str, float]:
    """Score one directed pair with each baseline."""
    return {baseline.name: baseline.score(pair) for baseline in baselines or default_baselines()}


def summarise(scores: Iterable[Mapping[str, float]]) -> list[BaselineResult]:
    """Accuracy and 95 % Wilson interval of each baseline, in the order in which they first appear."""
    totals: dict[str, list[float]] = {}
    for row in scores:
        for name, value in row.items():
            totals.setdefault(name, []).append(value)
    results = []
    for name, values in totals.items():
        hits = math.fsum(values)
        low, high = wilson_interval(hits, len(values))
        results.append(BaselineResult(name, hits / len(values), low, high, len(values)))
    return results


def table(results: Iterable[BaselineResult]) -> str:
    """The results as a Markdown table."""
    lines = ["| baseline | accuracy | 95 % interval | pairs | at chance |", "|---|---:|---|---:|---|"]
    for result in results:
        interval = f"{result.low:.3f} to {result.high:.3f}"
        verdict = "yes" if result.at_chance else "no"
        lines.append(f"| {result.name} | {result.accuracy:.3f} | {interval} | {result.n} | {verdict} |")
    return "\n".join(lines) + "\n"
