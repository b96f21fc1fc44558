"""The condition cascade: from single trajectories to pairs that differ in the one thing that matters."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig
from contextrl_data.stages.coding.evidence import EvidenceShelf
from contextrl_data.stages.coding.pairing import LIGHT_COLUMNS, Light, index, usable
from contextrl_data.stages.coding.similarity import IssueSimilarity, SentenceTransformerConfig
from contextrl_data.stages.lexical import fold
from contextrl_data.stages.rows import CANDIDATE

Kind = Literal["sibling", "outcome"]


class CascadeConfig(StageConfig):
    """Settings of `cascade`."""

    kinds: tuple[Kind, ...] = ("sibling", "outcome")
    """`sibling`: runs of two different issues; `outcome`: a resolved and an unresolved run of one issue."""
    require_resolved: bool = True
    """Siblings must both be known to be resolved; false also takes runs without a label, never unresolved ones."""
    same_commit: bool = True
    """Partners share the base commit; false where a source has no common commits (recorded in every pair)."""
    scope: Literal["function", "file"] = "function"
    """Partners edit the same function or class, or merely the same file."""
    module_level: bool = False
    """Count code outside any function or class as a place that partners can share."""
    min_relatedness: float = 0.03
    """Lowest cosine of two siblings' issues: below, they have nothing to do with each other. The default suits TF-IDF."""
    max_relatedness: float = 0.95
    """Highest cosine: above, the two issues are one."""
    sentence_transformer: SentenceTransformerConfig | None = None
    """Compare issues by this model's embeddings instead of TF-IDF; needs the extra `sentence`, and bounds of its own."""
    max_near_duplicate: float = 0.8
    """Highest estimated Jaccard similarity of the two runs' lines: above, they are copies."""
    max_length_ratio: float = 3.0
    """Longest allowed ratio of the two runs' lengths."""
    max_per_function: int = 20
    """Pairs kept for one function, the hardest first."""
    max_per_trajectory: int = 6
    """Pairs kept for one trajectory, the hardest first."""


class Cascade(Gather[CascadeConfig]):
    """Trajectories in, candidate pairs out, hardest confounders first."""

    name = "cascade"
    version = 2
    schema = CANDIDATE

    def fingerprint(self) -> str:
        """Content of the model that compares issues, where it lies in a folder."""
        model = self.config.sentence_transformer
        return model.fingerprint() if model is not None else ""

    def gather(self, rows: Rows) -> Gathered:
        """Block by place on light columns, then read the messages of the survivors only."""
        config = self.config
        lights = {light.id: light for light in map(Light.of, rows.select(LIGHT_COLUMNS))}
        funnel: list[tuple[str, int]] = [("trajectories", len(lights))]
        dropped: dict[str, str] = {}

        def survive(step: str, left: set[str], reason: str, count: int) -> None:
            funnel.append((step, count))
            for name in lights:
                if name not in left:
                    dropped.setdefault(name, reason)

        alive = {
            name: light
            for name, light in lights.items()
            if usable(light.resolved, config.kinds, config.require_resolved)
        }
        survive("usable label", set(alive), "no usable label", len(alive))
        for depth in ("repository", "file", "function") if config.scope == "function" else ("repository", "file"):
            blocks = index(alive.values(), depth, config.same_commit, config.module_level)
            reason = f"no other run of its {depth}"
            survive(f"pairs of one {depth}", blocks.with_partner, reason, blocks.pair_count)
        pairs = [_Pair(lights[one], lights[two], block) for (one, two), block in blocks.pairs()]

        issues = {light.instance_id: light.issue for light in alive.values()}
        similarity = IssueSimilarity(issues, config.sentence_transformer)
        related: dict[tuple[str, str], float] = {}

        def is_related(pair: _Pair) -> bool:
            if pair.kind == "outcome":
                pair.relatedness = 1.0
                return True
            key = (pair.first.instance_id, pair.second.instance_id)
            if key not in related:
                related[key] = similarity(min(key), max(key))
            pair.relatedness = related[key]
            distinct = fold(pair.first.issue) != fold(pair.second.issue) or not pair.first.issue
            return distinct and config.min_relatedness <= pair.relatedness <= config.max_relatedness

        shelf = EvidenceShelf()

        def is_no_copy(pair: _Pair) -> bool:
            pair.near_duplicate = shelf[pair.first.id].similarity(shelf[pair.second.id])
            return pair.near_duplicate <= config.max_near_duplicate

        def is_balanced(pair: _Pair) -> bool:
            lengths = sorted((shelf[pair.first.id].length, shelf[pair.second.id].length))
            pair.length_ratio = lengths[1] / max(lengths[0], 1)
            return pair.length_ratio <= config.max_length_ratio

        def narrow(step: str, keeps: Callable[[_Pair], bool], reason: str) -> None:
            nonlocal pairs
            pairs = [pair for pair in pairs if keeps(pair)]
            survive(step, {name for pair in pairs for name in pair.ids}, reason, len(pairs))

        narrow("a kind of confounder", self._has_kind, "no partner with a fitting label")
        narrow("issues distinct and related", is_related, "no partner with a distinct, related issue")
        narrow("answers distinct", self._answers_differ, "no partner with a different answer")
        shelf.fill(rows, pairs, self.workers)
        narrow("no near-duplicates", is_no_copy, "only near-duplicate partners")
        narrow("lengths balanced", is_balanced, "only partners of very different length")
        for pair in pairs:
            pair.margin = min(
                shelf.margin(pair.first, pair.second),
                shelf.margin(pair.second, pair.first),
            )
        pairs = self._capped(pairs)
        survive("under the caps", {name for pair in pairs for name in pair.ids}, "over the caps", len(pairs))
        notes = {"kinds": dict(sorted(Counter(str(pair.kind) for pair in pairs).items()))}
        pairs.sort(key=lambda pair: pair.id)
        return Gathered(_emit(pairs, shelf), dropped, {}, funnel, notes)

    def _has_kind(self, pair: _Pair) -> bool:
        return pair.kind is not None and pair.kind in self.config.kinds

    def _answers_differ(self, pair: _Pair) -> bool:
        """Not the same patch, nor the same edits wherever both edit; the pair belongs where it first differs."""
        if pair.first.answer == pair.second.answer:
            return False
        one, two = (light.places(self.config.scope, self.config.module_level) for light in (pair.first, pair.second))
        differing = sorted(place for place in one.keys() & two.keys() if one[place] != two[place])
        if differing:
            pair.block = (*pair.block[:2], *differing[0])
        return bool(differing)

    def _capped(self, pairs: Iterable[_Pair]) -> list[_Pair]:
        """The hardest confounders first, until a function or a trajectory has had its share."""
        per_place: Counter[tuple[str, ...]] = Counter()
        per_run: Counter[str] = Counter()
        kept = []
        for pair in sorted(pairs, key=lambda pair: (-pair.margin, pair.id)):
            full = per_place[pair.block] >= self.config.max_per_function
            if full or any(per_run[name] >= self.config.max_per_trajectory for name in pair.ids):
                continue
            per_place[pair.block] += 1
            per_run.update(pair.ids)
            kept.append(pair)
        return kept


class _Pair:
    """Two trajectories on their way through the cascade, the smaller id first."""

    __slots__ = ("block", "first", "length_ratio", "margin", "near_duplicate", "relatedness", "second")

    def __init__(self, first: Light, second: Light, block: tuple[str, ...]) -> None:
        self.first, self.second, self.block = first, second, block
        self.relatedness = self.near_duplicate = self.margin = 0.0
        self.length_ratio = 1.0

    @property
    def ids(self) -> tuple[str, str]:
        return self.first.id, self.second.id

    @property
    def id(self) -> str:
        return hashlib.sha256("\0".join(self.ids).encode("utf-8", "replace")).hexdigest()[:20]

    @property
    def kind(self) -> Kind | None:
        labels = {self.first.resolved, self.second.resolved}
        if self.first.instance_id != self.second.instance_id:
            return None if False in labels else "sibling"
        return "outcome" if labels == {True, False} else None


def _emit(pairs: list[_Pair], shelf: EvidenceShelf) -> Iterator[Row]:
    for pair in pairs:
        repo, _, file, symbol = pair.block
        yield {
            "id": pair.id,
            "kind": pair.kind,
            "group": f"{repo}::{file}::{symbol}",
            "first": shelf[pair.first.id].row(),
            "second": shelf[pair.second.id].row(),
            "same_commit": bool(pair.first.commit) and pair.first.commit == pair.second.commit,
            "relatedness": pair.relatedness,
            "near_duplicate": pair.near_duplicate,
            "length_ratio": pair.length_ratio,
            "lexical_margin": pair.margin,
        }
