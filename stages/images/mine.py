"""`mine`: pairs of pictures that look alike and answer one question differently."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig
from contextrl_data.stages.images.across import IndexChoice, Neighbours, nearest_of_all
from contextrl_data.stages.images.answers import Meaning, codes, differ, meaning, resolve
from contextrl_data.stages.images.encoders.base import digest_of_path
from contextrl_data.stages.images.neighbours import Bounds, Found, Members, cosine, exactly, nearest_in_groups
from contextrl_data.stages.images.questions import QuestionSimilarity
from contextrl_data.stages.images.rows import IMAGE_CANDIDATE
from contextrl_data.stages.images.shelf import RowShelf
from contextrl_data.stages.images.tiles import Ints, tiles_for
from contextrl_data.stages.images.vectors import Half, VectorTable

LIGHT = ["id", "image_id", "question", "question_group", "answer", "choices", "scene"]


class AcrossConfig(StageConfig):
    """Settings of mining across question groups, by FAISS."""

    k: int = Field(default=50, ge=1)
    """Nearest pictures that are looked at for each, before questions and answers are compared."""
    min_question_similarity: float = Field(default=0.9, gt=0, le=1)
    """Least likeness of the two questions; 1 for the same words but for those that change nothing."""
    index: str = "auto"
    """A string of FAISS's index_factory, `exact`, or `auto`."""
    search: str = ""
    """Search parameters of the index (`nprobe=16,k_factor_rf=4`)."""
    min_recall: float = Field(default=0.99, ge=0, le=1)
    """Recall, measured on a sample, below which the answer is computed exactly."""
    sample: int = Field(default=1000, ge=1)
    """Pictures on which recall is measured."""
    file: Path | None = None
    """An index over these very vectors, written before."""
    save_index: bool = False
    """Write the index to `files/index.faiss` of the stage's folder."""


class MineConfig(StageConfig):
    """Settings of `mine`."""

    k: int = Field(default=20, ge=1)
    """Nearest pictures with another answer that are looked at for each."""
    min_similarity: float = Field(default=0.85, ge=-1, le=1)
    """Least cosine: below, two pictures are told apart at a glance."""
    max_similarity: float = Field(default=0.98, ge=-1, le=1)
    """Greatest cosine: above, they are copies, and one of the answers is wrong."""
    max_per_image: int = Field(default=4, ge=1)
    """Pairs in which one picture may stand, the most alike first."""
    max_second: float | None = Field(default=None, ge=-1, le=1)
    """Greatest cosine by the second encoder, where one is configured: alike to one, different to the other."""
    across: AcrossConfig | None = None
    """Pairs across question groups too; none where it is not configured."""
    device: str = Field(default="auto", exclude=True)
    """`auto` (a GPU where torch sees one, else numpy), `numpy`, or a device of torch."""

    @model_validator(mode="after")
    def _ordered(self) -> MineConfig:
        if self.min_similarity >= self.max_similarity:
            raise ValueError(f"min_similarity ({self.min_similarity}) must be below max_similarity: no pair could fit")
        return self


@dataclass(frozen=True)
class _Usable:
    """Questions that can be paired, and what pairing needs of each."""

    rows: list[Row]
    members: Members
    vectors: list[Half]
    """(m, d) of each encoder, by picture."""
    meanings: list[Meaning]


@dataclass(frozen=True)
class _Pairs:
    """Pairs with their question similarity; None for those of one group."""

    found: Found
    questions: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, order=True)
class _Chosen:
    """A pair under the caps; sorted by id."""

    id: str
    sides: tuple[int, int]
    """Places of its questions, the smaller id first."""
    pairs: int
    """Which of the lists of pairs it stands in."""
    place: int
    """And where in it."""


class Mine(Gather[MineConfig]):
    """QUESTION (beside: `vectors`, and `second` where two encoders must disagree) -> IMAGE_CANDIDATE."""

    name = "mine"
    version = 3
    schema = IMAGE_CANDIDATE

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """A picture in `max_per_image` pairs at most; more pictures find more partners."""
        return Outlook(rows * self.config.max_per_image / 2)

    def fingerprint(self) -> str:
        """The index file's content."""
        across = self.config.across
        return digest_of_path(across.file) if across and across.file else ""

    def gather(self, rows: Rows) -> Gathered:
        """Compare inside groups, then across them where that is wanted; keep the most alike under the caps."""
        config = self.config
        dropped: dict[str, str] = {}
        usable = self._usable(rows, dropped)
        funnel = [("questions", len(rows)), ("with an answer and a vector", len(usable.rows))]
        second = config.max_second if len(usable.vectors) > 1 else None
        bounds = Bounds(config.k, config.min_similarity, config.max_similarity, second)
        notes: dict[str, Any] = {}
        inside = nearest_in_groups(usable.members, usable.vectors, bounds, tiles_for(config.device), self.tell)
        funnel.append(("pairs inside groups", len(inside.one)))
        pairs = [_Pairs(inside)]
        if config.across is not None and usable.rows:
            outside, notes = self._across(config.across, usable, bounds)
            funnel.append(("pairs across groups", len(outside.found.one)))
            pairs.append(outside)
        chosen = self._capped(pairs, usable)
        funnel.append(("under the caps", len(chosen)))
        near = {place for pair in pairs for side in (pair.found.one, pair.found.other) for place in side.tolist()}
        used = {side for one in chosen for side in one.sides}
        for place, row in enumerate(usable.rows):
            if place not in used:
                dropped[row["id"]] = "over the caps" if place in near else "no like picture with another answer"
        return Gathered(self._emit(rows, chosen, pairs, usable), dropped, {}, funnel, notes)

    def _usable(self, rows: Rows, dropped: dict[str, str]) -> _Usable:
        tables = [VectorTable.read(self.context.sides["vectors"], "vectors")]
        if self.config.max_second is not None:
            tables.append(VectorTable.read(self.context.sides["second"], "second"))
        kept: list[Row] = []
        meanings: list[Meaning] = []
        for row in rows.select(LIGHT):
            folded = meaning(resolve(row["answer"], row["choices"]))
            if folded is None:
                dropped[row["id"]] = "answer says nothing"
            elif any(row["image_id"] not in table.place for table in tables):
                dropped[row["id"]] = "its picture has no vector"
            else:
                kept.append(row)
                meanings.append(folded)
        first = tables[0]
        pictures = {image_id: place for place, image_id in enumerate(dict.fromkeys(row["image_id"] for row in kept))}
        vectors = [table.vectors[[table.place[image_id] for image_id in pictures]] for table in tables]
        if not pictures:
            vectors = [first.vectors[:0]]
        groups = _code(row["question_group"] for row in kept)
        members = Members(
            group=groups,
            answer=_answers(kept, groups),
            source=_code(row["scene"] or row["image_id"] for row in kept),
            place=np.array([pictures[row["image_id"]] for row in kept], dtype=np.int64),
        )
        return _Usable(kept, members, vectors, meanings)

    def _across(self, config: AcrossConfig, usable: _Usable, bounds: Bounds) -> tuple[_Pairs, dict[str, Any]]:
        choice = IndexChoice(config.index, config.search, config.min_recall, config.sample, config.file)
        save_to = self.context.folder / "files" / "index.faiss" if config.save_index else None
        near = nearest_of_all(usable.vectors[0], config.k, choice, self.config.device, save_to)
        one, other = _questions_of(near, usable.members)
        members = usable.members
        fit = (members.group[one] != members.group[other]) & (members.source[one] != members.source[other])
        one, other = one[fit], other[fit]
        texts = _code(row["question"] for row in usable.rows)
        known = dict.fromkeys(row["question"] for row in usable.rows)
        alike = QuestionSimilarity(list(known))(texts[one], texts[other])
        fit = alike >= config.min_question_similarity
        pairs = zip(one[fit].tolist(), other[fit].tolist(), strict=True)
        fit[fit] = [differ(usable.meanings[left], usable.meanings[right]) for left, right in pairs]
        found = exactly(one[fit], other[fit], members, usable.vectors, bounds)
        likeness = dict(zip(zip(one.tolist(), other.tolist(), strict=True), alike.tolist(), strict=True))
        kept = [likeness[pair] for pair in zip(found.one.tolist(), found.other.tolist(), strict=True)]
        recall = "" if near.recall is None else f", recall {near.recall:.4f} on a sample"
        notes = {"across": near.how, "recall": near.recall, "message": f"across groups by {near.how}{recall}"}
        return _Pairs(found, np.array(kept)), notes

    def _capped(self, pairs: list[_Pairs], usable: _Usable) -> list[_Chosen]:
        """The most alike first, until a picture has had its share."""
        ids = [str(row["id"]) for row in usable.rows]
        order = []
        for number, pair in enumerate(pairs):
            found = pair.found
            columns = (found.similarity.tolist(), found.one.tolist(), found.other.tolist())
            for place, (similarity, one, other) in enumerate(zip(*columns, strict=True)):
                sides = (one, other) if ids[one] < ids[other] else (other, one)
                order.append((-similarity, ids[sides[0]], ids[sides[1]], sides, number, place))
        count: Counter[int] = Counter()
        chosen = []
        for _, first, second, sides, number, place in sorted(order):
            pictures = [int(usable.members.place[side]) for side in sides]
            if all(count[picture] < self.config.max_per_image for picture in pictures):
                count.update(pictures)
                chosen.append(_Chosen(pair_id("mined", first, second), sides, number, place))
        return sorted(chosen)

    def _emit(self, rows: Rows, chosen: list[_Chosen], pairs: list[_Pairs], usable: _Usable) -> Iterator[Row]:
        ids = [str(row["id"]) for row in usable.rows]
        with RowShelf(rows, {ids[side] for one in chosen for side in one.sides}, self.context.folder) as shelf:
            for one in chosen:
                pair = pairs[one.pairs]
                scores = {"similarity": float(pair.found.similarity[one.place])}
                if len(usable.vectors) > 1:
                    left, right = (usable.members.place[[side]] for side in one.sides)
                    scores["similarity_second"] = float(cosine(usable.vectors[1], left, right)[0])
                if pair.questions is not None:
                    scores["question_similarity"] = float(pair.questions[one.place])
                yield {
                    "id": one.id,
                    "method": "mined",
                    "first": shelf[ids[one.sides[0]]],
                    "second": shelf[ids[one.sides[1]]],
                    "box": None,
                    "similarity": scores["similarity"],
                    "scores": [{"name": key, "value": value} for key, value in scores.items()],
                    "checks": [{"name": "answers differ", "passed": True, "detail": ""}],
                }


def pair_id(method: str, *ids: str) -> str:
    """The id of a pair: the same for the same rows and method."""
    return hashlib.sha256("\0".join([method, *sorted(ids)]).encode("utf-8", "replace")).hexdigest()[:20]


def _code(values: Iterator[str]) -> Ints:
    """Equal strings, equal integers."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def _answers(rows: list[Row], groups: Ints) -> Ints:
    """Codes of the answers, each group on its own: what two answers mean depends on the others to the question."""
    own: defaultdict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups.tolist()):
        own[group].append(place)
    result = np.zeros(len(rows), dtype=np.int64)
    for places in own.values():
        result[places] = codes(resolve(rows[place]["answer"], rows[place]["choices"]) for place in places)
    return result


def _questions_of(near: Neighbours, members: Members) -> tuple[Ints, Ints]:
    """Pairs of questions whose pictures are neighbours, each once, the smaller place first."""
    order = np.argsort(members.place, kind="stable")
    starts = np.searchsorted(members.place[order], np.arange(len(near.places) + 1))
    counts = np.diff(starts)
    one, other = np.nonzero(near.places >= 0)
    other = near.places[one, other].astype(np.int64)
    low, high = np.divmod(np.unique(np.minimum(one, other) * len(counts) + np.maximum(one, other)), len(counts))
    each = counts[low] * counts[high]
    pair = np.repeat(np.arange(len(low)), each)
    inner = np.arange(len(pair)) - np.repeat(np.cumsum(each) - each, each)
    left, right = low[pair], high[pair]
    first = order[starts[left] + inner // counts[right]]
    second = order[starts[right] + inner % counts[right]]
    return np.minimum(first, second), np.maximum(first, second)
