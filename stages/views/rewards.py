"""The check that belongs to the views, under the signature of each trainer. Imports nothing but the standard library.

TRL       reward_funcs=trl_reward
verl      reward.custom_reward_function.path=pkg://contextrl_data.stages.views.rewards, .name=verl_score
EasyR1    worker.reward.reward_function=PATH/rewards.py:easyr1_score
SkyRL     `contextrl_data.stages.views.skyrl_environment`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_LETTER = re.compile(r"(?<![A-Za-z0-9])([AB])(?![A-Za-z0-9])")
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


def score(response: str, expected: str) -> float:
    """1.0 where a reply gives the expected answer, else 0.0.

    What stands in the last <answer> tag counts, else in the last \\boxed{}, else all that follows the reasoning. Of a
    choice the last A or B that stands alone counts, upper case only; of anything else the words, without regard to
    case, spacing and a full stop at the end.
    """
    said = response.rsplit("</think>", 1)[-1]
    for pattern in (_ANSWER, _BOXED):
        if found := pattern.findall(said):
            said = found[-1]
            break
    if expected in ("A", "B"):
        letters = _LETTER.findall(said)
        return float(bool(letters) and letters[-1] == expected)
    return float(_words(said) == _words(expected))


def _words(text: str) -> str:
    return " ".join(text.casefold().split()).removesuffix(".")


def trl_reward(completions: Sequence[Any], answer: Sequence[str], **_: Any) -> list[float]:
    """For TRL's `reward_funcs`: conversational or plain completions, and the column `answer`."""
    said = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    return [score(one, right) for one, right in zip(said, answer, strict=True)]


def verl_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **_: Any) -> float:
    """For verl's `custom_reward_function`."""
    return score(solution_str, ground_truth)


def easyr1_score(reward_inputs: Any, **_: Any) -> Any:
    """For EasyR1's `reward_function`, with `reward_type` `batch` (a list of inputs) or `sequential` (one)."""
    if isinstance(reward_inputs, dict):
        right = score(reward_inputs["response"], reward_inputs["ground_truth"])
        return {"overall": right, "accuracy": right}
    return [easyr1_score(one) for one in reward_inputs]
