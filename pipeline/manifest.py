"""What a finished stage says of itself: `manifest.json`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from contextrl_data.pipeline.errors import StoreError


class Shard(BaseModel):
    """One data file and its ledger, as the manifest names them."""

    data: str
    ledger: str
    rows_in: int
    rows_out: int
    sha256: str
    ledger_sha256: str


class KeptFile(BaseModel):
    """A parquet file in `files/` that holds values of a column, see `in_files`."""

    name: str
    column: str
    """The column's name in that file."""
    sha256: str
    size: int
    mtime_ns: int
    """As it was when the stage ended: while it is the same, the bytes are not looked at again."""


class InFiles(BaseModel):
    """The column of a stage that lies in files beside its shards."""

    column: str
    files: list[KeptFile]


class Manifest(BaseModel):
    """What a finished stage says of itself. Written last; a folder without one is unfinished."""

    model_config = ConfigDict(extra="forbid")

    stage: str
    version: int
    key: str
    config: dict[str, Any]
    inputs: dict[str, str]
    """Input stage -> digest of the rows that were read."""
    below: tuple[str, str] | None = None
    """Folder and digest of the stage whose rows the shards add to or choose from; None where they hold whole rows."""
    in_files: InFiles | None = None
    """The column that stayed in the files that it was read from; None where the shards hold all."""
    rows_in: int
    kept: int
    dropped: dict[str, int]
    failed: dict[str, int]
    rows_out: int
    shards: list[Shard]
    digest: str
    funnel: list[tuple[str, int]] = []
    notes: dict[str, Any] = {}
    seconds: float = 0.0
    cost: float = 0.0
    git_commit: str = ""
    package: str = ""

    def check_counts(self) -> None:
        """Raise `StoreError` unless kept + dropped + failed = in and the shards add up."""
        total = self.kept + sum(self.dropped.values()) + sum(self.failed.values())
        shard_in, shard_out = sum(s.rows_in for s in self.shards), sum(s.rows_out for s in self.shards)
        if (total, shard_in, shard_out) != (self.rows_in, self.rows_in, self.rows_out):
            raise StoreError(
                f"{self.stage}: rows do not add up: {self.rows_in} in, {total} kept+dropped+failed, "
                f"{shard_in} in the ledgers, {shard_out} of {self.rows_out} out in the shards"
            )
