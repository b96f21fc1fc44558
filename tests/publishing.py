"""A dataset of factory rows, and a publisher that remembers what was said and waited."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factories import pair_rows
from hub_server import HubServer
from rich.console import Console

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.export import ExportConfig, write_dataset
from contextrl_data.stages.publish import Outcome, Request, publish
from contextrl_data.stages.rows import PAIR

REPO = "my-org/pairs"


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        """Only these columns."""
        return ({column: row[column] for column in columns} for row in self)


def corpus(count: int = 20) -> RowList:
    """Pairs in three splits, all under one licence."""
    splits = ("train", "train", "train", "validation", "probe")
    return RowList({**row, "split": splits[n % 5], "licence": "MIT"} for n in range(count) for row in pair_rows(n))


def write(folder: Path, rows: RowList, rows_per_file: int = 5000) -> Path:
    """Export rows as a dataset folder."""
    write_dataset(folder, rows, PAIR, ExportConfig(rows_per_file=rows_per_file))
    return folder


@dataclass
class Publisher:
    """Publishes to the Hub of the test, and remembers what was said and waited."""

    hub: HubServer
    environ: dict[str, str]
    slept: list[float] = field(default_factory=list)
    said: str = ""

    def __call__(self, folder: Path, repo: str = REPO, **asked: Any) -> Outcome:
        stream = io.StringIO()
        try:
            return publish(
                Request(folder, repo, **asked), Console(file=stream, width=200), self.environ, self.slept.append
            )
        finally:
            self.said = stream.getvalue()
