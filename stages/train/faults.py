"""Clean stops: what breaks a run although all its settings are right."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from contextrl_data.pipeline.errors import RunError, UserError, first_line
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.rewards import Reward, named


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


def guarded(name: str, reward: Reward) -> Reward:
    """The same reward; what goes wrong in it stops the run in one line that says where in the user's code that was."""

    def found(scores: Any, completions: Sequence[Any]) -> Any:
        try:
            numbers = [score if score is None else float(_no_text(score)) for score in scores]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != len(completions):
            raise RunError(
                f"the reward {name} gave {_shortly(scores)} for {len(completions)} completions",
                "let it return a list with a number, or None, for each; then go on with --resume",
            )
        return numbers

    def broken(error: Exception) -> RunError:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return RunError(
            f"the reward {name} failed at {frame.filename}:{frame.lineno}: {type(error).__name__}: {first_line(error, 160)}",
            "mend it, then go on with --resume",
        )

    if inspect.iscoroutinefunction(reward) or inspect.iscoroutinefunction(getattr(reward, "__call__", None)):  # noqa: B004

        async def waited(completions: Sequence[Any], **columns: Any) -> Any:
            try:
                scores: Any = reward(completions=completions, **columns)
                return found(await scores, completions)
            except Exception as error:
                if _not_the_rewards(error):
                    raise
                raise broken(error) from error

        return named(waited, reward)

    def called(completions: Sequence[Any], **columns: Any) -> Any:
        try:
            return found(reward(completions=completions, **columns), completions)
        except Exception as error:
            if _not_the_rewards(error):
                raise
            raise broken(error) from error

    return named(called, reward)


def _not_the_rewards(error: Exception) -> bool:
    """What has a line of its own: a user error, and no memory."""
    return isinstance(error, UserError | MemoryError) or "memory" in str(error)


def _no_text(score: Any) -> Any:
    if isinstance(score, str):
        raise TypeError("a text, though it may read as a number")
    return score


def _shortly(scores: Any) -> str:
    return (
        f"{len(scores)} values ({str(scores[:1])[:40]}…)" if isinstance(scores, list) else f"a {type(scores).__name__}"
    )


def not_a_number(what: str, done: int) -> RunError:
    """The one line for a run whose numbers broke."""
    return RunError(
        f"{what} is no finite number at step {done + 1}",
        "start anew in another folder with a lower rl.learning_rate or contrast.weight, or mend the reward; "
        "--resume goes on from the last checkpoint with the same settings",
    )
