"""The clean stops of a run that was already training."""

from __future__ import annotations

from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.train.config import TrainConfig


def not_a_number(what: str, done: int) -> RunError:
    """The one line for a run whose numbers broke."""
    return RunError(
        f"{what} is no finite number at step {done + 1}",
        "start anew in another folder with a lower rl.learning_rate or contrast.weight, or mend the reward; "
        "--resume goes on from the last checkpoint with the same settings",
    )


def out_of_memory(config: TrainConfig) -> RunError:
    """The one line for a run that did not fit. What it names may change between a run and its resumption."""
    return RunError(
        f"out of memory with rl.sequences_per_device {config.rl.sequences_per_device} and "
        f"contrast.pairs_per_forward {config.contrast.pairs_per_forward}",
        "lower them or set engine.gradient_checkpointing, then go on with --resume",
    )
