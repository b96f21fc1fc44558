"""Image-QA sets that exist -> QUESTION rows: from parquet, JSONL or folders on disk, or streamed from the Hub.

Bytes of pictures stay as they came. What cannot be used is a row with its reason, and the reading goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Drop, Keep, Outcome, Row, Source, StageConfig
from contextrl_data.stages.images.rows import QUESTION
from contextrl_data.stages.images.sources.columns import Found, Unusable, read_row
from contextrl_data.stages.images.sources.inspect import Limits, inspect
from contextrl_data.stages.images.sources.readers import BAD_LINE, LONG_LINE, open_set
from contextrl_data.stages.images.sources.spec import Domain, ImageSetSpec
from contextrl_data.stages.set_size import set_outlook

LONGEST_ID = 500
"""Characters; ids stand in lists, logs and reports."""


class ImageSetsConfig(StageConfig):
    """The sets, and which pictures are refused."""

    read: tuple[ImageSetSpec, ...] = ()
    """The sets, one after another."""
    max_pixels: int = Field(default=25_000_000, ge=1)
    """Most pixels of a picture; what has more is never unpacked."""
    max_side: int = Field(default=8000, ge=1)
    """Longest side, in pixels."""
    min_side: int = Field(default=28, ge=1)
    """Shortest side, in pixels; vision models see nothing below about this."""
    accept: tuple[Literal["cmyk", "deep", "animated", "rotated", "transparent"], ...] = ()
    """Pictures of these kinds are let in. A model's own loader may show them otherwise than people see them: colours of
    print, more than 8 bits a channel, several frames, turned by EXIF, see-through."""

    @model_validator(mode="after")
    def _some_sets(self) -> ImageSetsConfig:
        names = [spec.name or spec.path for spec in self.read]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"sets.read names {', '.join(twice)} twice", "give each of them a `name` of its own")
        return self

    def limits(self) -> Limits:
        """Bounds of a usable picture."""
        return Limits(self.max_pixels, self.max_side, self.min_side, frozenset(self.accept))


class ImageSets(Source[ImageSetsConfig]):
    """-> QUESTION, one row a question."""

    name = "image_sets"
    schema = QUESTION

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Counted where the files are here."""
        found = [set_outlook(spec.path, spec.limit) for spec in self.config.read]
        return Outlook(sum(one.most for one in found), unknown="; ".join(one.unknown for one in found if one.unknown))

    def fingerprint(self) -> str:
        """Content of the files, or the commits of sets on the Hub."""
        return " ".join(open_set(spec).fingerprint() for spec in self.config.read)

    def items(self) -> Iterator[tuple[str, Outcome]]:
        """Set by set, row by row. A row's id is the set's own where it has one, and unique; else its place."""
        seen: set[str] = set()
        for spec in self.config.read:
            name = spec.name or spec.path
            for number, raw in enumerate(open_set(spec).rows()):
                if spec.limit is not None and number >= spec.limit:
                    break
                if raw is BAD_LINE or raw is LONG_LINE:
                    reason = "row cannot be read" if raw is BAD_LINE else "row is too large"
                    yield _row_id(name, "", number, seen), Drop(reason)
                    continue
                found = read_row(raw, spec)
                own = found.own_id if isinstance(found, Found) else ""
                row_id = _row_id(name, own, number, seen)
                if len(own) > LONGEST_ID:
                    yield row_id, Drop("id is too long")
                    continue
                yield row_id, self._outcome(row_id, found, spec)

    def _outcome(self, row_id: str, found: Found | Unusable, spec: ImageSetSpec) -> Outcome:
        if isinstance(found, Unusable):
            return Drop(found.reason)
        if reason := inspect(found.data, self.config.limits()):
            return Drop(reason)
        return Keep([_question(row_id, found, spec)])


def _row_id(name: str, own: str, number: int, seen: set[str]) -> str:
    """The row's own id where it is new, else its place; one that another row has taken already is told apart."""
    wanted = f"{name}-{own}" if own and len(own) <= LONGEST_ID else f"{name}-{number}"
    if wanted in seen:
        wanted = f"{name}-{number}-repeated" if own else f"{name}-{number}-placed"
    while wanted in seen:
        wanted += "-again"
    seen.add(wanted)
    return wanted


def _question(row_id: str, found: Found, spec: ImageSetSpec) -> Row:
    image_id = hashlib.sha256(found.data).hexdigest()
    domain: Domain = spec.domains.get(found.domain, spec.domain) if found.domain else spec.domain
    return {
        "id": row_id,
        "image": {"bytes": found.data, "path": found.path},
        "image_id": image_id,
        "question": found.question,
        "question_group": " ".join(found.question.casefold().split()).rstrip("?. "),
        "answer": found.answer,
        "choices": found.choices,
        "domain": domain,
        "renderer": "",
        "facts": "",
        "scene": image_id,
        "source": spec.path,
        "licence": found.licence or spec.licence,
    }
