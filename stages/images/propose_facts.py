"""`propose` from the fact sheet: the change of one fact that turns the answer, said in words; no model is asked."""

from __future__ import annotations

from random import Random
from typing import Literal

import orjson
from pydantic import Field

from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, seed_of
from contextrl_data.stages.images.answers import differ, meaning
from contextrl_data.stages.images.proposal import NOT_DRAWN, ProposalConfig, proposal, wanted
from contextrl_data.stages.images.rendered import library_versions
from contextrl_data.stages.images.rerender import difference, turn
from contextrl_data.stages.images.rows import PROPOSAL
from contextrl_data.stages.images.sources.catalogue import renderer
from contextrl_data.stages.images.sources.wording import told


class FactsProposeConfig(ProposalConfig):
    """Settings of `propose` from fact sheets."""

    kind: Literal["facts"]
    """Pictures that were drawn here are known by their facts: one of them is changed so that the answer turns."""
    tries: int = Field(default=120, ge=1)
    """How many changed fact sheets to look at until one turns the answer."""


class FactsPropose(Map[FactsProposeConfig]):
    """QUESTION -> PROPOSAL: instruction, new answer, and the region where the two pictures would differ."""

    name = "propose"
    version = 2
    schema = PROPOSAL
    work = "process"

    def fingerprint(self) -> str:
        """See `Render.fingerprint`: the region is measured on pictures."""
        return library_versions()

    def process(self, row: Row) -> Outcome:
        """Find the change, say it, and see where it would show."""
        if not row["renderer"]:
            return Drop("no fact sheet")
        if not wanted(self.config, row):
            return Drop(NOT_DRAWN)
        facts = orjson.loads(row["facts"])
        rng = Random(seed_of(self.config.seed, row["id"], "change"))
        found = turn(row["renderer"], facts, row["question"], row["answer"], self.config.tries, rng)
        if found is None or not differ(meaning(row["answer"]), meaning(found[1].answer)):
            return Drop("no single fact turns the answer")
        after = orjson.loads(orjson.dumps(found[0]))
        if set(found[1].choices) != set(row["choices"]):
            return Drop("the change alters the choices")
        instruction = told(row["renderer"], facts, after)
        if instruction is None:
            return Drop("words would not tell which of several things to change")
        draw = renderer(row["renderer"])
        one, other = draw.draw(facts), draw.draw(after)
        box = difference(one, other)[0] if one.size == other.size else None
        if box is None:
            return Drop("the change cannot be seen" if one.size == other.size else "the change alters the size")
        return Keep([proposal(row, instruction, found[1].answer, list(box), "facts")])
