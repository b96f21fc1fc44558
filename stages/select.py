"""Select pairs up to a target, under caps, so that no blind baseline can tell C+ from C-; and say what that cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

from pydantic import Field

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig
from contextrl_data.stages.audit import summarise
from contextrl_data.stages.audit.rare_words import NAME as RARE_WORDS
from contextrl_data.stages.audit.rare_words import RareWords
from contextrl_data.stages.balance import Choice, Limits, Unit, choose
from contextrl_data.stages.lexical import context_text
from contextrl_data.stages.rows import PAIR

ONE_DIRECTION = "one direction only"
AGAIN = "the same as another pair"


class SelectConfig(StageConfig):
    """What the selected set must look like."""

    target_pairs: int = Field(default=1000, ge=1)
    """How many directed pairs (exported rows) to aim at. Fewer are exported where there are not so many."""
    shares: dict[str, float] = Field(default={"sibling": 0.7, "outcome": 0.3})
    """Share of the target per kind of C- (coding) or per domain (images). One that is not named has no limit."""
    fill: bool = True
    """Let other kinds use what one kind leaves of its share."""
    per_group: int = Field(default=10, ge=1)
    """Most undirected pairs of one group (one function or class of one repository)."""
    per_context: int = Field(default=4, ge=1)
    """Most undirected pairs that show one and the same trajectory."""
    max_source_share: float = Field(default=0.5, gt=0, le=1)
    """Most of the target that one repository may fill."""
    both_directions: bool = True
    """Use a pair only with both directions, so that a context alone never gives the answer away."""
    baselines: list[str] = Field(default=[])
    """Blind baselines to keep at chance; empty: every one that was measured."""
    slack: float = Field(default=0.5, gt=0, le=1)
    """How much of the distance that a 95 % interval allows may be used; below 1 leaves room for the splits."""
    seed: int = 0
    """Breaks ties."""


class SelectPairs(Gather[SelectConfig]):
    """PAIR -> PAIR, fewer; each with one more blind score, `rare_words`."""

    name = "select"
    version = 2
    schema = PAIR
    context_columns: ClassVar[tuple[str, ...]] = ("trajectory_pos", "trajectory_neg")
    """Ids of the two contexts: each is capped."""
    told_columns: ClassVar[tuple[str, ...]] = ()
    """What a row says beside its contexts, where that does not follow from them."""
    source_column: ClassVar[str] = "repo"
    kind_columns: ClassVar[tuple[str, ...]] = ("kind",)
    """What may have a share of the set; the first column's shares are `shares`."""

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Never more than `target_pairs`."""
        return Outlook(min(rows, self.config.target_pairs))

    def gather(self, rows: Rows) -> Gathered:
        """Choose on the small columns, then stream the chosen rows."""
        columns = ["id", "pair_id", *self.kind_columns, "group", self.source_column, *self.context_columns]
        columns += [*self.told_columns, "blind_scores"]
        corpus = self.corpus_scores(rows)
        seen = [_with_scores(row, corpus) for row in rows.select(columns)]
        pairs: dict[str, list[Row]] = {}
        for row in seen:
            pairs.setdefault(row["pair_id"], []).append(row)
        whole = {key: part for key, part in pairs.items() if len(part) > 1 or not self.config.both_directions}
        again = self._again(whole)
        names = self.config.baselines or sorted({name for row in seen for name in row["blind_scores"]})
        units = [self._unit(key, part, names) for key, part in whole.items() if key not in again]
        choice = choose(units, names, self._limits(units), self.config.seed, self.config.fill, self.tell)
        chosen = set(choice.chosen)
        reasons = {**dict.fromkeys(again, AGAIN), **choice.reasons}
        dropped = {
            row["id"]: reasons.get(row["pair_id"], ONE_DIRECTION) for row in seen if row["pair_id"] not in chosen
        }
        return Gathered(
            rows=({**row, "blind_scores": _listed(row, corpus)} for row in rows if row["pair_id"] in chosen),
            dropped=dropped,
            funnel=[
                ("pairs", len(seen)),
                ("with both directions", sum(map(len, whole.values()))),
                ("once each", sum(unit.rows for unit in units)),
                ("selected", choice.rows),
            ],
            notes=self._notes(seen, units, choice, dropped),
        )

    def corpus_scores(self, rows: Rows) -> dict[str, float]:
        """Scores by row id of the guesser that needs the whole set, `rare_words`; its weights come from all candidates."""
        guesser = RareWords()
        for done, row in enumerate(rows.select(["id", "answer", "context_pos", "context_neg"]), 1):
            guesser.add(row["id"], row["answer"], context_text(row["context_pos"]), context_text(row["context_neg"]))
            self.tell("rows read", done, len(rows))
        return guesser.scores()

    def _again(self, pairs: Mapping[str, Sequence[Row]]) -> set[str]:
        """Pairs that say what an earlier one says: two scenes may come out as the same picture."""
        columns = (*self.told_columns, *self.context_columns)
        first: dict[frozenset[tuple[Any, ...]], str] = {}
        said = {key: frozenset(tuple(row[column] for column in columns) for row in part) for key, part in pairs.items()}
        return {key for key, rows in said.items() if first.setdefault(rows, key) != key}

    def _unit(self, pair_id: str, part: Sequence[Row], names: Sequence[str]) -> Unit:
        row = part[0]
        contexts = {f"context {one[column]}": None for one in part for column in self.context_columns}
        return Unit(
            id=pair_id,
            rows=len(part),
            kinds=tuple(row[column] for column in self.kind_columns),
            source=row[self.source_column],
            members=(f"group {row['group']}", *sorted(contexts)),
            tilt=tuple(sum(one["blind_scores"].get(name, 0.5) - 0.5 for one in part) for name in names),
        )

    def _limits(self, units: Iterable[Unit]) -> Limits:
        config = self.config
        members = {member for unit in units for member in unit.members}
        return Limits(
            rows=config.target_pairs,
            per_member={m: config.per_group if m.startswith("group ") else config.per_context for m in members},
            per_source=max(2, round(config.max_source_share * config.target_pairs)),
            per_kind={kind: round(share * config.target_pairs) for kind, share in self._shares().items()},
            soft=frozenset(self._shares().keys() - config.shares.keys()),
            slack=config.slack,
        )

    def _shares(self) -> dict[str, float]:
        """Share of the target by kind, for every kind that has one."""
        return self.config.shares

    def _notes(self, seen: list[Row], units: list[Unit], choice: Choice, dropped: dict[str, str]) -> dict[str, Any]:
        """The price of a balanced set: what the same caps would have given without it."""
        blind = [replace(unit, tilt=()) for unit in units]
        free = choose(blind, [], self._limits(blind), self.config.seed, self.config.fill)
        before, after = (
            [asdict(result) for result in summarise(row["blind_scores"] for row in part)]
            for part in (seen, [row for row in seen if row["id"] not in dropped])
        )
        short = self.config.target_pairs - choice.rows
        left_out = ", ".join(f"{count} for {name}" for name, count in choice.tilted.most_common())
        message = f"selected {choice.rows} of {len(seen)} pairs"
        if short > 0 and units:
            message += f", {short} fewer than target_pairs"
        if left_out:
            message += f"; undirected pairs left out to keep the blind baselines at chance: {left_out}"
        return {
            "message": message,
            "target": self.config.target_pairs,
            "pairs_before": len(seen),
            "pairs_after": choice.rows,
            "pairs_without_balancing": free.rows,
            "cost_of_balancing": free.rows - choice.rows,
            "left_out_for": dict(choice.tilted),
            "kinds": self._kinds(row for row in seen if row["id"] not in dropped),
            "baselines_before": before,
            "baselines": after,
        }

    def _kinds(self, rows: Iterable[Row]) -> dict[str, int]:
        """Rows of every kind, column by column."""
        kept = list(rows)
        counts = [Counter(row[column] for row in kept) for column in self.kind_columns]
        return {kind: count for counter in counts for kind, count in sorted(counter.items())}


def _listed(row: Row, corpus: Mapping[str, float]) -> list[Row]:
    more = [{"name": RARE_WORDS, "value": corpus[row["id"]]}] if row["id"] in corpus else []
    return [*row["blind_scores"], *more]


def _with_scores(row: Row, corpus: Mapping[str, float]) -> Row:
    return {**row, "blind_scores": {one["name"]: one["value"] for one in _listed(row, corpus)}}
