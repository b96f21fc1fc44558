"""What every proposer shares: whom it is asked for, and the row that comes out."""

from __future__ import annotations

from random import Random

from pydantic import Field

from contextrl_data.pipeline.stage import Row, StageConfig, seed_of

NOT_DRAWN = "not drawn by lot"


class ProposalConfig(StageConfig):
    """Settings of every proposer."""

    share: float = Field(default=1.0, gt=0, le=1)
    """Share of the questions for which an edit is proposed, drawn by their ids: edits are dear."""
    seed: int = 0
    """Draws the questions, and what is left to chance."""


def wanted(config: ProposalConfig, row: Row) -> bool:
    """Whether the lot falls on this question."""
    return config.share >= 1 or Random(seed_of(config.seed, row["id"], "propose")).random() < config.share


def proposal(row: Row, instruction: str, other: str, region: list[int] | None, who: str) -> Row:
    """A row of PROPOSAL."""
    return {
        "id": row["id"],
        "base": row,
        "instruction": instruction,
        "answer_neg": other,
        "region": region,
        "proposer": who,
    }
