"""The rule judge: finds the flaws that need no reading, and says that it is no more than rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.lexical import changed_lines, context_text, fold
from contextrl_data.stages.rows import JUDGED

Verdict = Literal["VALID", "INVALID", "UNCERTAIN"]

REASONS = (
    "length disparity",
    "format difference",
    "leakage",
    "inconsistent masks",
    "ambiguous label",
    "evidence not shown",
)
"""Everything that a judge may hold against a pair."""

_MASK = re.compile(r"<([A-Z]+)_MASKED>")
_CALL_STYLES = (("function", "<function="), ("fence", "```"))
_MUST_MATCH = ("EDIT", "ISSUE", "SUBMISSION")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, and how bad it is."""

    verdict: Verdict
    reason: str


class RuleJudgeConfig(StageConfig):
    """Settings of `judge` where no model is configured."""

    kind: Literal["rules"] = "rules"
    """Rules judge; `chat` for a model."""
    views: tuple[Literal["full", "before_edit"], ...] = ("full", "before_edit")
    """The views that must be sound."""
    max_length_ratio: float = 4.0
    """Ratio of the masked contexts' lengths in a view above which length alone tells them apart."""
    max_run_chars: int = 40
    """Longest stretch of an added line that may stay readable in the answer's own context."""


class RuleJudge(Map[RuleJudgeConfig]):
    """VALID, UNCERTAIN or (dropped) INVALID, with a reason from a fixed list."""

    name = "judge"
    version = 1
    schema = JUDGED
    work = "process"

    def process(self, row: Row) -> Outcome:
        """Drop what a rule refuses; note what a rule doubts."""
        findings = list(self._findings(row))
        for finding in findings:
            if finding.verdict == "INVALID":
                return Drop(f"judged invalid: {finding.reason}")
        doubt = findings[0] if findings else Finding("VALID", "")
        return Keep(
            [{**row, "judge": "rules", "verdict": doubt.verdict, "verdict_reason": doubt.reason, "votes": None}]
        )

    def _findings(self, row: Row) -> Iterator[Finding]:
        first, second = row["first"], row["second"]
        yield from _label_findings(row)
        for view in self.config.views:
            texts = [context_text(side[view]) for side in (first, second)]
            sizes = sorted(map(len, texts))
            if sizes[1] > self.config.max_length_ratio * max(sizes[0], 1):
                yield Finding("INVALID", "length disparity")
            if _format(first[view]) != _format(second[view]):
                yield Finding("INVALID", "format difference")
            yield from _mask_findings(texts)
        for leak in row["leaks"]:
            if leak["view"] in self.config.views:
                if leak["readable"] or leak["longest_run"] > self.config.max_run_chars:
                    yield Finding("INVALID", "leakage")
                if not leak["function_pos"] and not leak["function_neg"]:
                    yield Finding("UNCERTAIN", "evidence not shown")


def _label_findings(row: Row) -> Iterator[Finding]:
    """Answers that are one, labels that are unknown or contradict each other."""
    first, second = row["first"], row["second"]
    changed = [[[fold(line) for line in lines] for lines in changed_lines(side["patch"])] for side in (first, second)]
    if changed[0] == changed[1]:
        yield Finding("INVALID", "ambiguous label")
    labels = (first["resolved"], second["resolved"])
    if None in labels:
        yield Finding("UNCERTAIN", "ambiguous label")
    elif row["kind"] == "outcome" and labels[0] == labels[1]:
        yield Finding("INVALID", "ambiguous label")
    for check in row["checks"]:
        crossed = check["patch_of"] != check["tests_of"]
        if crossed and check["status"] == "resolved":
            yield Finding("INVALID", "ambiguous label")


def _mask_findings(texts: Sequence[str]) -> Iterator[Finding]:
    """Kinds of placeholders that only one of the contexts holds."""
    kinds = [set(_MASK.findall(text)) for text in texts]
    if any((kind in kinds[0]) != (kind in kinds[1]) for kind in _MUST_MATCH):
        yield Finding("INVALID", "inconsistent masks")
    elif ("REGION" in kinds[0]) != ("REGION" in kinds[1]):
        yield Finding("UNCERTAIN", "inconsistent masks")


def _format(messages: Sequence[Row]) -> tuple[tuple[str, ...], str]:
    """Roles in use, and how commands are written: a different agent framework is told apart without reading."""
    roles = tuple(sorted({message["role"] for message in messages} - {"system"}))
    spoken = [message["content"] or "" for message in messages if message["role"] == "assistant"]
    counts = {style: sum(mark in text for text in spoken) for style, mark in _CALL_STYLES}
    style = max(counts, key=lambda name: counts[name]) if any(counts.values()) else "none"
    return roles, style
