"""The contrast term of a micro-step: draws pairs, runs them, and yields losses that add up to lambda * L_CA."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from contextrl_data.stages.train.config import ContrastConfig
from contextrl_data.stages.train.loss import (
    ChoiceBatch,
    answer_logits,
    choice_cross_entropy,
    clipped,
    context_awareness_loss,
    margin_of,
)
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs
from contextrl_data.stages.train.sampler import Draw, PairStream, Plan

_NAMES = ("loss", "margin", "margin_clipped", "accuracy", "p_correct", "beyond_clip", "first_option")


class ContrastTerm:
    """lambda * L_CA over a step's pairs, or with `kind: sft` the cross-entropy of the choice."""

    def __init__(
        self,
        pairs: Pairs,
        collator: ChoiceCollator,
        config: ContrastConfig,
        plan: Plan,
        seed: int,
        kind: Literal["ca", "sft"] = "ca",
    ) -> None:
        self.pairs = pairs
        self.collator = collator
        self.config = config
        self.plan = plan
        self.stream = PairStream(pairs.ids, seed)
        self.kind = kind

    def chunks(self, step: int, slot: int, slots: int) -> list[list[Draw]]:
        """The draws of one micro-step on one device, as many at a time as go through one forward pass."""
        count = self.plan.pairs(step)
        if not count:
            return []
        draws = self.stream.slot(self.plan.start(step), count, slot, slots)
        size = self.config.pairs_per_forward
        return [draws[start : start + size] for start in range(0, len(draws), size)]

    def batch(self, draws: list[Draw]) -> ChoiceBatch:
        """Draws as choice prompts."""
        rows = [self.pairs[draw.index] for draw in draws]
        built: ChoiceBatch = self.collator(rows, [draw.flipped for draw in draws], [draw.weight for draw in draws])
        return built

    def loss(self, model: Any, step: int, draws: list[Draw], accelerator: Any) -> tuple[Tensor, Tensor]:
        """A loss, and sums for the log. The losses of a step's chunks, averaged over the devices, add up to
        lambda * (mean L_CA of the step).

        Nobody divides them again: GRPO's own loss is already scaled for accumulation, and so are these.
        """
        weight = (self.plan.weight(step) if self.kind == "ca" else 1.0) * accelerator.num_processes
        batch: ChoiceBatch = self.batch(draws).to(accelerator.device)
        with accelerator.autocast():
            logits = answer_logits(model, batch)
        margin = margin_of(logits, batch)
        if self.kind == "ca":
            each = context_awareness_loss(margin, self.config.clip, self.config.clip_mode)
        else:
            each = choice_cross_entropy(logits, batch)
        return weight * (each * batch.weight).sum() / self.plan.pairs(step), self._measure(each, margin, batch)

    def _measure(self, each: Tensor, margin: Tensor, batch: ChoiceBatch) -> Tensor:
        with torch.no_grad():
            cut = clipped(margin, self.config.clip, self.config.clip_mode)
            first = self.collator.options.ids[0]
            chose_first = (margin > 0) == (batch.right == first)
            columns = [each, margin, cut, margin > 0, margin.sigmoid(), cut != margin, chose_first]
            values = torch.stack([column.detach().float() for column in columns])
            return torch.cat([(values * batch.weight).sum(1), batch.weight.sum()[None]])

    def read(self, sums: Tensor) -> dict[str, float]:
        """Means under the names they are logged with."""
        *totals, count = sums.tolist()
        prefix = "contrast" if self.kind == "ca" else "sft"
        return {f"{prefix}/{name}": total / count for name, total in zip(_NAMES, totals, strict=True)} if count else {}
