"""Draw train, validation and probe so that no group and no context stands in two of them, and each is balanced."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from pydantic import Field

from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig
from contextrl_data.stages.audit import summarise
from contextrl_data.stages.balance import Limits, Unit, choose
from contextrl_data.stages.components import Components, member
from contextrl_data.stages.rows import PAIR

GOES_FIRST = ("probe", "validation", "train")
"""Of two pairs that are nearly the same, in two splits, the one that stands later here goes if nothing else decides."""
TOO_NEAR = "nearly the same as a pair of another split"


class SplitConfig(StageConfig):
    """Sizes of the held-out splits, in directed pairs."""

    validation: int = Field(default=200, ge=0)
    """Pairs for choosing settings while training. An upper bound: see `max_share`."""
    probe: int = Field(default=200, ge=0)
    """Pairs that `contextrl-data probe` measures a model on. An upper bound: see `max_share`."""
    max_share: float = Field(default=0.1, ge=0, le=0.4)
    """Most of the set that each of the two may take: a small set stays mostly for training."""
    seed: int = 0
    """Draws the splits."""


class SplitPairs(Gather[SplitConfig]):
    """PAIR -> PAIR with `split` set."""

    name = "split"
    schema = PAIR
    member_columns: ClassVar[tuple[str, ...]] = ("group", "trajectory_pos", "trajectory_neg")
    """Whatever two rows share in one of these keeps them in one split."""
    kind_columns: ClassVar[tuple[str, ...]] = ("kind",)
    """Every split has the whole set's mix of these."""

    def gather(self, rows: Rows) -> Gathered:
        """Assign whole connected components of pairs."""
        light = list(rows.select(["id", "pair_id", *self.kind_columns, *self.member_columns, "blind_scores"]))
        together = Components(light, self.member_columns)
        links = self.links(rows)
        cut = together.join(links, self.largest(len(light)))
        components = together.parts()
        split_of = dict.fromkeys((row["id"] for row in light), "train")
        for name, wanted in (("probe", self.config.probe), ("validation", self.config.validation)):
            size = min(wanted, int(self.config.max_share * len(light)))
            free = [part for part in components if split_of[part[0]["id"]] == "train"]
            for row in _draw(free, light, size, self.config.seed, name, self.kind_columns):
                split_of[row["id"]] = name
        dropped = _too_near(cut, light, split_of, self.member_columns)
        kept = [row for row in light if row["id"] not in dropped]
        return Gathered(
            rows=({**row, "split": split_of[row["id"]]} for row in rows if row["id"] not in dropped),
            dropped=dropped,
            funnel=[("independent components", len(components))],
            notes={
                **_notes(kept, split_of, self.config, self.kind_columns),
                "largest_components": sorted(map(len, components), reverse=True)[:10],
                "near_duplicates": {"links": len(links), "cut": len(cut)},
            },
        )

    def links(self, rows: Rows) -> list[tuple[str, str]]:
        """Members that are nearly the same, two by two: they may not stand in two splits either."""
        return []

    def largest(self, rows: int) -> int:
        """How many of so many rows `links` may chain together; what they would chain beyond it is dropped."""
        return rows


def _too_near(
    cut: Sequence[tuple[str, str]], rows: Sequence[Row], split_of: dict[str, str], columns: Sequence[str]
) -> dict[str, str]:
    """Rows that must go so that no cut link leads from one split to another, with the reason.

    Pairs go whole, those with the most such links first: few go for many, whichever split they stand in.
    """
    pairs: dict[str, list[Row]] = defaultdict(list)
    holders: dict[str, set[str]] = defaultdict(set)  # member -> the pairs that hold it, all of one split
    for row in rows if cut else ():
        pairs[row["pair_id"]].append(row)
        for column in columns:
            holders[member(column, row[column])].add(row["pair_id"])
    split = {pair: split_of[part[0]["id"]] for pair, part in pairs.items()}
    near: dict[str, set[str]] = defaultdict(set)
    for one, other in cut:
        for left in holders[one]:
            for right in holders[other]:
                if split[left] != split[right]:
                    near[left].add(right)
                    near[right].add(left)
    gone = []
    while near:
        worst = max(near, key=lambda pair: (len(near[pair]), GOES_FIRST.index(split[pair]), pair))
        gone.append(worst)
        for other in near.pop(worst):
            near[other].discard(worst)
            if not near[other]:
                del near[other]
    return {row["id"]: TOO_NEAR for pair in gone for row in pairs[pair]}


def _draw(
    components: Sequence[list[Row]], rows: Sequence[Row], size: int, seed: int, split: str, columns: Sequence[str]
) -> list[Row]:
    """Components of at most `size` rows together, with the whole set's mix of kinds and its baselines at chance."""
    if size < 1:
        return []
    names = sorted({score["name"] for row in rows for score in row["blind_scores"]})
    shares = {kind: count / len(rows) for kind, count in sorted(_kinds(rows, columns).items())}
    units = []
    for part in components:
        tilt = [sum(_score(row, name) - 0.5 for row in part) for name in names]
        counts = _kinds(part, columns)
        tilt += [counts[kind] - share * len(part) for kind, share in shares.items()]
        units.append(Unit(f"{split} {part[0]['id']}", len(part), (), "", (), tuple(tilt)))
    chosen = set(choose(units, [*names, *shares], Limits(size, {}, size, {}), seed).chosen)
    return [row for unit, part in zip(units, components, strict=True) if unit.id in chosen for row in part]


def _kinds(rows: Sequence[Row], columns: Sequence[str]) -> Counter[str]:
    return Counter(row[column] for row in rows for column in columns)


def _score(row: Row, name: str) -> float:
    return next((float(score["value"]) for score in row["blind_scores"] if score["name"] == name), 0.5)


def _notes(
    rows: Sequence[Row], split_of: dict[str, str], config: SplitConfig, columns: Sequence[str]
) -> dict[str, Any]:
    counts = Counter(split_of.values())
    splits = {}
    for split in ("train", "validation", "probe"):
        part = [row for row in rows if split_of[row["id"]] == split]
        scores = ({score["name"]: score["value"] for score in row["blind_scores"]} for row in part)
        splits[split] = {
            "rows": len(part),
            "groups": len({row["group"] for row in part}),
            "kinds": dict(sorted(_kinds(part, columns).items())),
            "baselines": [asdict(result) for result in summarise(scores)],
        }
    message = ", ".join(f"{split} {counts[split]}" for split in splits)
    missing = [name for name in ("validation", "probe") if getattr(config, name) and not counts[name]]
    if missing and rows:
        message += f"; too few independent groups for {' and '.join(missing)}"
    return {"message": message, "splits": splits}
