"""What the cascade reads of the trajectories that reach its later steps: length, signature, names, the row itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import zstandard

from contextrl_data.pipeline.executors.spread import spread
from contextrl_data.pipeline.stage import Row, Rows
from contextrl_data.stages.coding.edit_commands import first_edit
from contextrl_data.stages.coding.inline import code_of
from contextrl_data.stages.coding.pairing import Light, line_hash
from contextrl_data.stages.coding.similarity import line_shingles, signature
from contextrl_data.stages.lexical import context_text, identifiers

if TYPE_CHECKING:
    from datasketch import MinHash


_FEW = 8
"""A name on more lines than this is taken to be seen whatever the patches change."""


class LightPair(Protocol):
    """Two trajectories known by their light columns."""

    first: Light
    second: Light


@dataclass(frozen=True)
class Evidence:
    """One trajectory, read once. The row is held compressed: some hundred thousand characters each add up."""

    length: int
    signature: MinHash
    names: dict[str, tuple[int, ...]]
    """Of the identifiers that any partner's patch names, those seen before the first edit, and the lines that show
    them (empty: more than `_FEW` different lines)."""
    packed: bytes

    def similarity(self, other: Evidence) -> float:
        """Estimated Jaccard similarity of two runs' lines."""
        return float(self.signature.jaccard(other.signature))

    def row(self) -> Row:
        """The whole LOCATED row."""
        loaded: dict[str, Any] = orjson.loads(zstandard.ZstdDecompressor().decompress(self.packed))
        return loaded


class EvidenceShelf(dict[str, Evidence]):
    """Evidence by trajectory id."""

    def fill(self, rows: Rows, pairs: Iterable[LightPair], workers: int = 1) -> None:
        """One pass over the full rows; only members of `pairs` are looked at, by so many processes."""
        wanted: dict[str, set[str]] = {}
        for pair in pairs:
            names = pair.first.names | pair.second.names
            wanted.setdefault(pair.first.id, set()).update(names)
            wanted.setdefault(pair.second.id, set()).update(names)
        if wanted:
            self.update(spread(_evidence, rows, wanted, workers))

    def margin(self, answer: Light, other: Light) -> float:
        """How much more of an answer's identifiers the other run shows than the own one, before any edit."""
        hidden = answer.lines | other.lines
        return self._support(answer, other, hidden) - self._support(answer, answer, hidden)

    def _support(self, answer: Light, run: Light, hidden: frozenset[int]) -> float:
        """Share of the answer's names that the run shows outside the lines that will be masked."""
        shown = self[run.id].names
        seen = sum(not hidden.issuperset(shown[name] or (-1,)) for name in answer.names if name in shown)
        return seen / max(len(answer.names), 1)


def _evidence(row: Row, wanted: set[str]) -> Evidence:
    messages = row["messages"] or []
    cut = first_edit(messages, sorted({edit["file"] for edit in row["edits"]}))
    # The system prompt and the task are masked or the same for all; what counts is what the run brought to light.
    seen = messages[2 : cut if cut is not None else len(messages)]
    return Evidence(
        length=sum(len(str(message["content"] or "")) for message in messages),
        signature=signature(line_shingles(messages)),
        names=_lines_by_name(context_text(seen), wanted),
        packed=zstandard.ZstdCompressor(level=1).compress(orjson.dumps(row)),
    )


def _lines_by_name(text: str, wanted: set[str]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    many: set[str] = set()
    for line in dict.fromkeys(text.split("\n")):
        names = identifiers(line) & wanted
        if not names:
            continue
        code = line_hash(code_of(line))
        for name in names - many:
            lines = found.get(name, ())
            if code not in lines:
                found[name] = (*lines, code)
            if len(found[name]) > _FEW:
                many.add(name)
    return {name: () if name in many else lines for name, lines in found.items()}
