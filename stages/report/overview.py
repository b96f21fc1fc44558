"""What the report says before it shows a pair: figures, funnel, blind baselines, settings, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from contextrl_data.stages.audit.show import audit_page
from contextrl_data.stages.card_text import limits


@dataclass(frozen=True)
class Overview:
    """The first page of the report; all of it JSON-ready, as in `provenance.json`."""

    title: str
    funnel: Sequence[Mapping[str, Any]] = ()
    baselines: Sequence[Mapping[str, Any]] = ()
    """Blind baselines that selection balances: name, accuracy, low, high, n; `split` where it is not the whole set."""
    config: Mapping[str, Any] = field(default_factory=dict)
    tiles: Sequence[tuple[str, object]] = ()
    """Names and figures for the first row of the page."""
    limits: Sequence[str] = ()
    """What a reader must know before use."""
    total: int = 0
    """Pairs in the dataset, of which the page may show fewer."""
    pictures: int = 0
    """Distinct pictures in it, at most: they share the room that the page has."""
    parts: Sequence[Mapping[str, Any]] = ()
    """Pairs by domain and method: domain, method, sound, selected."""
    audit: Mapping[str, Any] | None = None
    """What `contextrl-data audit` found, as on the dataset's record; None where none is on record."""

    def head(self, shown: int) -> dict[str, Any]:
        """As the page's script reads it."""
        settings = yaml.safe_dump(dict(self.config), sort_keys=False, allow_unicode=True) if self.config else ""
        return {
            "title": self.title,
            "funnel": list(self.funnel),
            "audit": audit_page(self.audit) if self.audit else None,
            "baselines": list(self.baselines),
            "parts": list(self.parts),
            "config": settings,
            "tiles": [[name, value] for name, value in self.tiles],
            "limits": list(self.limits),
            "total": max(self.total, shown),
        }


def overview_of(record: Mapping[str, Any]) -> Overview:
    """The first page, from a dataset's record."""
    tiles: list[tuple[str, object]] = [("pairs", record["rows"])]
    tiles += [(f"in {name}", facts["rows"]) for name, facts in record["splits"].items()]
    tiles += [(name, count) for name, count in record["distinct"].items() if name != "pairs"]
    repositories = [name for name in record["counts"].get("repo", {}) if name]
    if repositories:
        tiles.append(("repository" if len(repositories) == 1 else "repositories", len(repositories)))
    baselines = [dict(one) for one in record["baselines"]]
    for split, facts in record["splits"].items():
        if len(record["splits"]) > 1:  # the only split is the whole set
            baselines += [{**one, "split": split} for one in facts.get("baselines", ())]
    return Overview(
        title=record["title"],
        funnel=record["funnel"],
        baselines=baselines,
        audit=record.get("audit"),
        parts=[part for line in record["funnel"] for part in line.get("parts", ())],
        config=record["config"],
        tiles=tiles,
        limits=limits(record),
        total=record["rows"],
        pictures=2 * record["distinct"].get("pairs", record["rows"]),
    )
