"""What an audit found, as plain values: one shape for the console, the JSON file and the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

EXAMPLES = 5
"""Rows that a finding names."""

Level = Literal["fail", "warn", "info"]


@dataclass(frozen=True)
class Finding:
    """Something about the dataset that can be counted. `fail` findings decide the verdict."""

    check: str
    level: Level
    count: int
    message: str
    examples: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, check: str, level: Level, message: str, examples: Sequence[str], count: int | None = None) -> Finding:
        """A finding that names its first few rows."""
        return cls(check, level, len(examples) if count is None else count, message, list(examples[:EXAMPLES]))


@dataclass(frozen=True)
class Guess:
    """How often one blind guesser picked C+ in one split, or why that could not be measured."""

    name: str
    split: str
    accuracy: float | None = None
    low: float = 0.0
    high: float = 1.0
    n: int = 0
    effective_n: float = 0.0
    p: float | None = None
    p_adjusted: float | None = None
    verdict: Literal["chance", "above", "below", "not measured"] = "not measured"
    note: str = ""


@dataclass
class AuditResult:
    """Everything that was measured."""

    dataset: str
    rows: int
    pairs: int
    clusters: int
    splits: dict[str, int]
    kind: Literal["text", "image", "embedding"]
    alpha: float
    guesses: list[Guess]
    split_guesses: list[Guess]
    balance: list[dict[str, Any]]
    findings: list[Finding]
    notes: list[str]
    ignored: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Names of the checks that the dataset failed."""
        found = [guess.name for guess in self.guesses if guess.verdict in ("above", "below")]
        found += [finding.check for finding in self.findings if finding.level == "fail"]
        return [name for name in dict.fromkeys(found) if name not in self.ignored]

    @property
    def passed(self) -> bool:
        """Whether nothing was found that counts."""
        return not self.reasons

    def record(self) -> dict[str, Any]:
        """JSON-ready, in a fixed order, floats rounded so that every machine writes the same."""
        plain = asdict(self)
        plain["guesses"] = [_rounded(one) for one in plain["guesses"]]
        plain["split_guesses"] = [_rounded(one) for one in plain["split_guesses"]]
        plain["balance"] = [_rounded(one) for one in plain["balance"]]
        return {"version": 1, "passed": self.passed, "reasons": self.reasons, **plain}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
