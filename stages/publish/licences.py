"""What the rows' licences allow, told by the SPDX index of `license-expression`, and what a person must accept before publishing.

Advice, not law: a data set is a collection whose rows keep their own licences. What is named here are the cases in which
passing rows on needs a decision: none known, one that is not SPDX, one that restricts use, share-alike terms beside others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError, MissingExtra

Kind = Literal["missing", "unknown", "restricted", "copyleft"]
KINDS: tuple[Kind, ...] = ("missing", "unknown", "restricted", "copyleft")
Terms = Literal["free", "copyleft", "restricted", "unknown"]

_ORDER: tuple[Terms, ...] = ("free", "copyleft", "restricted", "unknown")
_TERMS: dict[str, Terms] = {
    "Permissive": "free",
    "Public Domain": "free",
    "Copyleft": "copyleft",
    "Copyleft Limited": "copyleft",
}
"""Categories of the index; all others (source-available, proprietary, non-commercial, ...) restrict use."""
_WHY = {
    "missing": "no known licence",
    "unknown": "not a licence that SPDX knows",
    "restricted": "restricts use or changes (non-commercial, no derivatives, source-available, proprietary)",
    "copyleft": "share-alike terms beside rows under other licences",
}


@dataclass(frozen=True)
class Problem:
    """One licence that needs a decision."""

    kind: Kind
    licence: str
    rows: int
    first: str
    """Id of the first row under it."""

    def line(self) -> str:
        """For a person."""
        return f"{self.licence or '(none)'}: {self.rows} rows, first {self.first}: {_WHY[self.kind]}"


@dataclass(frozen=True)
class Licences:
    """The licences of a dataset: rows under each, most first, and the problems among them."""

    rows: dict[str, int]
    problems: list[Problem]


def read_licences(paths: Sequence[Path]) -> Licences:
    """Count the `licence` column of parquet files; rows without one have none.

    Raises:
        InputError: a file cannot be read.
        MissingExtra: the SPDX index is not installed.
    """
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    number = 0
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                columns = [name for name in ("id", "licence") if name in file.schema_arrow.names]
                for batch in file.iter_batches(columns=columns):
                    for row in batch.to_pylist():
                        licence = str(row.get("licence") or "").strip()
                        counts[licence] = counts.get(licence, 0) + 1
                        first.setdefault(licence, str(row.get("id") or f"row {number}"))
                        number += 1
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"cannot read {path}: {error}", "export the dataset again") from error
    rows = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    problems = [
        Problem(kind, name, count, first[name]) for name, count in rows.items() if (kind := _kind(name, list(rows)))
    ]
    return Licences(rows, sorted(problems, key=lambda one: (KINDS.index(one.kind), -one.rows, one.licence)))


def _kind(name: str, every: Sequence[str]) -> Kind | None:
    if not name:
        return "missing"
    terms = terms_of(name)
    if terms == "copyleft":
        return "copyleft" if len(every) > 1 else None
    return None if terms == "free" else terms


def terms_of(expression: str) -> Terms:
    """Terms of an SPDX expression: of `A AND B` the stricter, of `A OR B` the freer."""
    try:
        parse, categories = _index()
        from license_expression import ExpressionError, ExpressionParseError
    except ModuleNotFoundError as error:
        raise MissingExtra("publish", "the check of licences") from error
    try:
        parsed = parse(expression, validate=True)
    except (ExpressionError, ExpressionParseError, IndexError):  # the last for "()"
        return "unknown"
    return "unknown" if parsed is None else _terms(parsed, categories)


def _terms(parsed: Any, categories: dict[str, str]) -> Terms:
    if arguments := getattr(parsed, "args", ()):
        choose: Callable[..., Terms] = min if parsed.operator.strip().upper() == "OR" else max
        return choose((_terms(one, categories) for one in arguments), key=_ORDER.index)
    key = getattr(parsed, "license_symbol", parsed).key  # without its exception (`WITH ...`), which only allows more
    if "-NC-" in f"{key}-".upper() or "-ND-" in f"{key}-".upper():
        return "restricted"
    return _TERMS.get(categories.get(key.lower(), ""), "restricted")


@cache
def _index() -> tuple[Callable[..., Any], dict[str, str]]:
    from license_expression import get_license_index, get_spdx_licensing

    categories: dict[str, str] = {}
    for one in get_license_index():
        for name in (one.get("spdx_license_key"), *one.get("other_spdx_license_keys", ())):
            if name:
                categories[name.lower()] = one["category"]
    return get_spdx_licensing().parse, categories
