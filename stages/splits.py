"""Draw train, validation and probe so that no group and no context stands in two of them, and each is balanced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from pydantic import Field

from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig
from contextrl_data.stages.audit import summarise
from contextrl_data.stages.balance import Limits, Unit, choose
from contextrl_data.stages.rows import PAIR


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
        components = _components(light, self.member_columns)
        split_of = dict.fromkeys((row["id"] for row in light), "train")
        for name, wanted in (("probe", self.config.probe), ("validation", self.config.validation)):
            size = min(wanted, int(self.config.max_share * len(light)))
            free = [part for part in components if split_of[part[0]["id"]] == "train"]
            for row in _draw(free, light, size, self.config.seed, name, self.kind_columns):
                split_of[row["id"]] = name
        return Gathered(
            rows=({**row, "split": split_of[row["id"]]} for row in rows),
            funnel=[("independent components", len(components))],
            notes=_notes(light, split_of, self.config, self.kind_columns),
        )


def _components(rows: Sequence[Row], columns: Sequence[str]) -> list[list[Row]]:
    """Rows that hang together through shared members, in the order of their smallest id."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row in rows:
        for column in columns:
            member = root(f"group {row[column]}" if column == "group" else f"context {row[column]}")
            parent[member] = root(f"pair {row['pair_id']}")
    parts: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: str(row["id"])):
        parts.setdefault(root(f"pair {row['pair_id']}"), []).append(row)
    return list(parts.values())


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
