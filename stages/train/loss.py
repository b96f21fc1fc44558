"""The context-awareness loss: L_CA = -log sigmoid(clip(margin, -c, c)).

The margin is the logit of the option that names the supporting context minus that of the other one, at the one
position where the answer stands. No other logit is ever built, and there is no reference model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


@dataclass
class ChoiceBatch:
    """Choice prompts, left-padded, and what the right answer is."""

    inputs: Mapping[str, Any]
    """What the model is called with."""
    right: Tensor
    """Token id of the option that names the supporting context."""
    wrong: Tensor
    """Token id of the other option."""
    weight: Tensor
    """1, or 0 for a filler."""

    def to(self, device: torch.device) -> ChoiceBatch:
        """The same batch on a device."""
        inputs = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in self.inputs.items()}
        return ChoiceBatch(inputs, self.right.to(device), self.wrong.to(device), self.weight.to(device))


def answer_logits(model: Any, batch: ChoiceBatch) -> Tensor:
    """Logits of the whole vocabulary at the answer position only, in float32."""
    output = model(**batch.inputs, logits_to_keep=1, use_cache=False)
    logits: Tensor = output.logits[:, -1, :].float()
    return logits


def margin_of(logits: Tensor, batch: ChoiceBatch) -> Tensor:
    """Logit of the right option minus that of the wrong one."""
    return logits.gather(1, batch.right[:, None])[:, 0] - logits.gather(1, batch.wrong[:, None])[:, 0]


def clipped(margin: Tensor, clip: float | None, mode: str) -> Tensor:
    """The margin, held within [-c, c], or only below c with `one_sided`."""
    if clip is None:
        return margin
    return margin.clamp(max=clip) if mode == "one_sided" else margin.clamp(-clip, clip)


def context_awareness_loss(margin: Tensor, clip: float | None, mode: str = "two_sided") -> Tensor:
    """L_CA of each pair."""
    return -F.logsigmoid(clipped(margin, clip, mode))


def choice_cross_entropy(logits: Tensor, batch: ChoiceBatch) -> Tensor:
    """Cross-entropy of the right option's token over the whole vocabulary: what DA-SFT minimises."""
    return F.cross_entropy(logits, batch.right, reduction="none")
