"""Selection accuracy of a model at hand: both orders of every pair, from the options' logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs


def choose(model: Any, pairs: Pairs, collator: ChoiceCollator, batch_size: int = 8) -> Iterator[dict[str, Any]]:
    """For every pair and order: the margin, and whether the first option was chosen. Ties choose neither."""
    import torch

    from contextrl_data.stages.train.loss import answer_logits, margin_of

    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        for start in range(0, len(pairs), batch_size):
            rows = [pairs[i] for i in range(start, min(start + batch_size, len(pairs)))]
            both = []
            for flipped in (False, True):
                batch = collator(rows, [flipped] * len(rows), [1.0] * len(rows)).to(device)
                with torch.no_grad():
                    both.append(margin_of(answer_logits(model, batch), batch).tolist())
            for place, row in enumerate(rows):
                for flipped in (False, True):
                    margin = both[flipped][place]
                    first = None if margin == 0 else (margin > 0) != flipped
                    yield {"id": row["id"], "flipped": flipped, "margin": margin, "correct": margin > 0, "first": first}
    finally:
        model.train(training)


def accuracy(model: Any, pairs: Pairs, collator: ChoiceCollator, batch_size: int = 8) -> dict[str, float]:
    """Selection accuracy over both orders, and the share of choices of the first option."""
    choices = list(choose(model, pairs, collator, batch_size))
    named = [c["first"] for c in choices if c["first"] is not None]
    return {
        "accuracy": sum(c["correct"] for c in choices) / len(choices),
        "first": sum(named) / len(named) if named else 0.5,
        "margin": sum(c["margin"] for c in choices) / len(choices),
    }
