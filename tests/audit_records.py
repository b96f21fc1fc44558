"""What an audit found, as a dataset's record holds it, for those who only show it."""

from __future__ import annotations

from typing import Any

from contextrl_data.stages.audit.result import AuditResult, Finding, Guess


def audit_record(bad: str = "", **changes: Any) -> dict[str, Any]:
    """What an audit of one set found, as a dataset's record holds it; with `bad`, that text wherever text may stand."""
    guesses = [
        Guess("longer", "all", 0.9, 0.8, 0.95, 40, 31.5, p=1e-7, p_adjusted=3e-7, verdict="above"),
        Guess(bad or "first", "all", 0.5, 0.35, 0.65, 40, 40, p=1.0, p_adjusted=1.0, verdict="chance", note=bad),
        Guess("context_words", "all", note=bad or "fewer than 20 pairs to learn from"),
    ]
    findings = [
        Finding.of("duplicate rows", "fail", bad or "stands twice", [bad or "a = b"] * 7),
        Finding.of("near-duplicate texts", "info", "nearly the same", [bad or "a ~ c"]),
        Finding.of("few clusters", "warn", bad or "4 clusters: too few", [], count=4),
    ]
    result = AuditResult(
        dataset="pairs",
        rows=40,
        pairs=20,
        clusters=12,
        splits={bad or "train": 30, "probe": 10},
        kind="text",
        alpha=0.01,
        guesses=guesses,
        split_guesses=[Guess("longer", bad or "train", 0.8, 0.7, 0.9, 30), Guess("longer", "probe", 0.5, 0.2, 0.8, 10)],
        balance=[{"split": bad or "train", "rows": 40, "first": 0.5, "low": 0.4, "high": 0.6}],
        findings=findings,
        notes=[bad] if bad else [],
    )
    return {**result.record(), **changes}
