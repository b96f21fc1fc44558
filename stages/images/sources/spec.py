"""How one image-QA set is read: where it lies, and which of its columns hold what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contextrl_data.pipeline.stage import StageConfig

Domain = Literal["natural", "science", "chart", "math", "geometry"]


class ImageColumns(StageConfig):
    """Names of columns; a dot reaches into a nested one (`images.0`, `meta.licence`)."""

    question: str = "question"
    """The question, as text."""
    answer: str = "answer"
    """The answer: text, a number, a list of which most must agree, or the place or letter of a choice."""
    image: str = "image"
    """The picture: bytes, `{bytes, path}`, base64, a data URI, or a path beside the file; or a list of exactly one."""
    choices: str | None = "choices"
    """List of choices, or the text of a JSON list; absent or empty for open questions."""
    id: str | None = "id"
    """Identity of the row; its place in the set where there is none."""
    licence: str | None = "licence"
    """SPDX id, row by row."""
    domain: str | None = None
    """A column by which the domain is told, through `domains`."""


class ImageSetSpec(StageConfig):
    """One set."""

    path: str
    """A parquet or JSONL file, a folder of them, a folder of pictures with metadata.jsonl, or owner/name on the Hub."""
    name: str = ""
    """Begins the ids of its rows; the path where it is empty."""
    revision: str | None = None
    """Branch, tag or commit on the Hub."""
    subset: str | None = None
    """Configuration of a set on the Hub that has several."""
    split: str = "train"
    """Split of a set on the Hub."""
    columns: ImageColumns = ImageColumns()
    """Which column holds what."""
    domain: Domain = "natural"
    """Domain of its rows."""
    domains: dict[str, Domain] = Field(default={})
    """Value of the column `columns.domain` -> domain."""
    licence: str = ""
    """SPDX id of rows that name none of their own."""
    limit: int | None = Field(default=None, ge=1)
    """Most rows to read."""
