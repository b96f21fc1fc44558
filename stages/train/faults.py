"""Clean stops: what breaks a run although all its settings are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.train.config import TrainConfig


@contextmanager
def clean_stops(config: TrainConfig, done: Callable[[], int]) -> Iterator[None]:
    """Within it, what an accelerator or a broken model raises becomes one line with the remedy.

    `done` tells how many optimizer steps are finished.

    Raises:
        RunError: out of memory, or a policy without finite probabilities.
    """
    r, pairs = config.rl.sequences_per_device, config.contrast.pairs_per_forward
    with enough_memory(
        f"out of memory with rl.sequences_per_device {r} and contrast.pairs_per_forward {pairs}",
        # What this names may change between a run and its resumption.
        "lower them or set engine.gradient_checkpointing, then go on with --resume",
    ):
        try:
            yield
        except RuntimeError as error:
            if "probability tensor contains" not in str(error):
                raise
            raise not_a_number("a probability", done()) from error


@contextmanager
def enough_memory(otherwise: str, remedy: str) -> Iterator[None]:
    """Within it, no memory, of an accelerator or of the machine, becomes one line.

    Raises:
        RunError: out of memory.
    """
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise RunError(otherwise, remedy) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # what the CPU's allocator says
            raise
        raise RunError(otherwise, remedy) from error


def not_a_number(what: str, done: int) -> RunError:
    """The one line for a run whose numbers broke."""
    return RunError(
        f"{what} is no finite number at step {done + 1}",
        "start anew in another folder with a lower rl.learning_rate or contrast.weight, or mend the reward; "
        "--resume goes on from the last checkpoint with the same settings",
    )
