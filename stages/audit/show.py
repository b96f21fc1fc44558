"""The audit told: as tables on the console, and as a section of the dataset card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contextrl_data.stages.audit.result import AuditResult, Finding, Guess
from contextrl_data.stages.markdown import prose

if TYPE_CHECKING:
    from rich.console import Console

Record = Mapping[str, Any]

WHAT = {
    "first": "takes whatever is shown first",
    "longer": "takes the longer context",
    "more_turns": "takes the context with more messages",
    "identifiers": "counts the answer's identifiers in each context",
    "rare_words": "counts the answer's words in each context, rare ones for more",
    "patch_lines": "counts the answer's removed and added lines in each context",
    "removed_lines": "counts the answer's removed lines",
    "added_lines": "counts the answer's added lines",
    "answer_verbatim": "looks for the answer's own lines",
    "answer_only": "reads question and answer alone",
    "context_words": "reads the contexts' words, without the answer",
    "more_pixels": "takes the larger image",
    "more_bytes": "takes the larger file",
    "sharper": "takes the sharper image",
    "image_traces": "looks at how the images were made: format, blocks, noise, spectrum, error level",
    "embeddings": "sees nothing but the two embeddings",
}
"""What each guesser does. Those that learn are cross-validated by group."""


def show(result: AuditResult, console: Console) -> None:
    """Print the verdict and everything behind it."""
    from rich.table import Table
    from rich.text import Text

    splits = ", ".join(f"{name} {count:,}" for name, count in result.splits.items())
    console.print(
        Text(f"{result.rows:,} rows, {result.pairs:,} undirected pairs, {result.clusters:,} clusters ({splits})"),
        soft_wrap=True,
    )
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("blind guesser", "accuracy", "95 % interval", "pairs", "p (Holm)", "at chance"):
        table.add_column(name, justify="left" if name == "blind guesser" else "right", no_wrap=True)
    for guess in result.guesses:
        table.add_row(guess.name, *_numbers(guess), _told_verdict(guess, result.ignored))
    console.print(table)
    for guess in result.guesses:
        if guess.note:
            console.print(Text(f"{guess.name}: {guess.note}", style="dim"), soft_wrap=True)
    colours = {"fail": "red", "warn": "yellow", "info": "dim"}
    for finding in result.findings:
        level = "ignored" if finding.check in result.ignored else finding.level
        line = Text(f"{level}: ", style=colours.get(level, "dim")) + Text(_told(finding))
        console.print(line, soft_wrap=True)
    for told in (*_balance_lines(result.balance), *result.notes):
        console.print(Text(told), soft_wrap=True)
    verdict = "passed" if result.passed else f"FAILED: {', '.join(result.reasons)}"
    console.print(Text(f"audit: {verdict}", style="bold green" if result.passed else "bold red"), soft_wrap=True)


def _numbers(guess: Guess) -> list[str]:
    if guess.accuracy is None:
        return ["-", "-", "0", "-"]
    return [f"{guess.accuracy:.3f}", f"{guess.low:.3f}-{guess.high:.3f}", f"{guess.n:,}", _p(guess.p_adjusted)]


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1"


def _told_verdict(guess: Guess, ignored: Sequence[str]) -> Any:
    from rich.text import Text

    if guess.verdict == "not measured":
        return "not measured"
    if guess.verdict == "chance":
        return "yes"
    return Text("no (ignored)" if guess.name in ignored else "NO", style="bold red")


def _told(finding: Finding) -> str:
    rest = finding.count - len(finding.examples)
    if not finding.examples:
        return f"{finding.check}: {finding.message}"
    more = f" and {rest:,} more" if rest > 0 else ""
    return f"{finding.check}: {finding.count:,}: {finding.message} ({'; '.join(finding.examples)}{more})"


def _balance_lines(balance: Sequence[Record]) -> list[str]:
    if not balance:
        return []
    told = [f"{one['split']} {one['first']:.3f} ({one['low']:.3f}-{one['high']:.3f})" for one in balance]
    return [f"C+ is shown first, share of rows: {', '.join(told)}"]


def verdict_line(record: Record) -> str:
    """The verdict in a few words, as text; reasons are names of checks, never of rows."""
    verdict = "passed" if record["passed"] else f"failed: {', '.join(record['reasons'])}"
    return "; ".join([verdict, _at_chance(record), *_warnings(record)])


def _warnings(record: Record) -> list[str]:
    found = [one for one in record["findings"] if one["level"] == "warn" and one["check"] not in record["ignored"]]
    return [str(one["message"]) for one in found]


def _at_chance(record: Record) -> str:
    measured = [one for one in record["guesses"] if one["verdict"] != "not measured"]
    chance = sum(one["verdict"] == "chance" for one in measured)
    ignored = f"; told to ignore: {', '.join(record['ignored'])}" if record["ignored"] else ""
    return f"{chance} of {len(measured)} blind guessers at chance{ignored}"


def audit_page(record: Record) -> dict[str, Any]:
    """The audit for the report's page: guessers told what they do, findings as text."""
    return {
        "passed": record["passed"],
        "reasons": record["reasons"],
        "summary": _at_chance(record),
        "warnings": _warnings(record),
        "lead": _lead(record),
        "guesses": [{**one, "what": WHAT.get(one["name"], "")} for one in record["guesses"]],
        "splits": record["split_guesses"],
        "findings": [
            {"level": _level(one, record["ignored"]), "text": _told(Finding(**one))} for one in record["findings"]
        ],
        "notes": [*_balance_lines(record["balance"]), *record["notes"]],
    }


def _level(finding: Record, ignored: Sequence[str]) -> str:
    return "ignored" if finding["check"] in ignored else str(finding["level"])


def _lead(record: Record) -> str:
    return (
        f"{record['rows']:,} rows, {record['pairs']:,} undirected pairs, {record['clusters']:,} independent clusters. "
        f"Intervals count clusters, not rows. A guesser is off chance where its p-value, adjusted by Holm's rule over "
        f"all guessers, is below {record['alpha']:g}: on a clean set any alarm at all is that improbable."
    )


def audit_section(record: Record) -> str:
    """The audit as Markdown, from its record in `provenance.json`."""
    verdict = "passed" if record["passed"] else f"**failed**: {', '.join(record['reasons'])}"
    lines = ["| guesser | what it does | accuracy | 95 % interval | pairs | p (Holm) | verdict |"]
    lines.append("|---|---|---:|---|---:|---:|---|")
    for one in record["guesses"]:
        numbers = _numbers(Guess(**one))
        note = f" ({prose(one['note'])})" if one["note"] else ""
        lines.append(
            f"| {one['name']} | {WHAT.get(one['name'], '')} | {' | '.join(numbers)} | {one['verdict']}{note} |"
        )
    found = [f"- {_level(one, record['ignored'])}: {_excerpt(_told(Finding(**one)))}" for one in record["findings"]]
    parts = [
        f"`contextrl-data audit`: {verdict}. {_lead(record)}",
        "\n".join(lines),
        "\n".join(found) if found else "No duplicates, nothing of the given benchmark lists, no missing licences.",
        *_balance_lines(record["balance"]),
        *map(prose, record["notes"]),
    ]
    if record["ignored"]:
        parts.append(f"Told to ignore: {', '.join(record['ignored'])}.")
    return "\n\n".join(parts)


def _excerpt(text: str) -> str:
    """Ids come from the data: a finding is text, and as long as its examples are many."""
    return "; ".join(prose(part) for part in text.split("; "))
