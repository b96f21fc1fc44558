"""Verifiable rewards. Each takes TRL's keyword columns and returns one number for each completion.

`qa` is the paper's: 0.9 for the right answer and 0.1 for the form. How an answer is compared is the row's `reward`
column (`exact`, `numeric`, `choice`, or `auto`, which looks at the expected answer).
"""

from __future__ import annotations

import importlib
import inspect
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

from contextrl_data.pipeline.errors import ConfigError

Reward = Callable[..., list[float | None]]
SELECTION = "selection"
"""The `reward` kind of DA-RL's choice tasks: judged 0 or 1 by `selection`, and by no other reward."""
CODE_REPAIR = "contextrl_data.stages.coding.reward:TestsPass"
"""What judges the tasks that `contextrl-data tasks` writes, in columns `shown` and `task`; known here by name alone."""

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")
_FORM = re.compile(r"\s*<think>.*?</think>\s*<answer>.*?</answer>\s*", re.DOTALL)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def text_of(completion: Any) -> str:
    """What the model said: the last assistant message, or the plain text."""
    if isinstance(completion, str):
        return completion
    said = [m.get("content") or "" for m in completion if m.get("role") == "assistant"]
    content = said[-1] if said else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


def final_answer(text: str) -> str:
    """The answer inside the last <answer> tag, else the last \\boxed{}, else after the last `answer:`, else all."""
    for pattern in (r"<answer>(.*?)</answer>", r"\\boxed\{([^{}]*)\}", r"(?i:answer(?: is)?)\s*:?\s*([^\n]+)"):
        if found := re.findall(pattern, text, re.DOTALL if "<answer>" in pattern else 0):
            return str(found[-1]).strip()
    return text.strip()


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and extra space."""
    plain = "".join(" " if c in string.punctuation else c for c in text.lower())
    return " ".join(_ARTICLES.sub(" ", plain).split())


def number_of(text: str) -> float | None:
    """The last number in a text; a fraction a/b counts as its value."""
    if fraction := re.fullmatch(r"\s*([-+]?\d+)\s*/\s*(\d+)\s*", text):
        return int(fraction[1]) / int(fraction[2]) if int(fraction[2]) else None
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def letter_of(text: str) -> str | None:
    """The last option letter that stands alone, in upper case."""
    found = re.findall(r"(?<![A-Za-z])([A-Z])(?![A-Za-z])", text)
    return found[-1] if found else None


def matches(said: str, expected: str, kind: str = "auto") -> bool:
    """Whether an answer is the expected one."""
    if kind == "auto":
        if re.fullmatch(r"\s*\(?[A-H]\)?\s*", expected):
            kind = "choice"
        else:
            kind = "numeric" if re.fullmatch(rf"\s*(?:{_NUMBER.pattern})\s*%?\s*", expected) else "exact"
    answer = final_answer(said)
    if kind == "choice":
        return letter_of(answer) == letter_of(expected)
    if kind == "numeric":
        number, right = number_of(answer), number_of(expected)
        return number is not None and right is not None and abs(number - right) <= 1e-6 * max(1.0, abs(right))
    return bool(normalised(expected)) and normalised(answer) == normalised(expected)


def accuracy(completions: Sequence[Any], answer: Sequence[Any], **columns: Any) -> list[float | None]:
    """1 where the answer is right."""
    kinds = columns.get("reward") or ["auto"] * len(answer)
    said = [text_of(completion) for completion in completions]
    return [float(matches(s, str(a), k or "auto")) for s, a, k in zip(said, answer, kinds, strict=True)]


def form(completions: Sequence[Any], **_: Any) -> list[float | None]:
    """1 where the completion is <think>…</think><answer>…</answer> and nothing else."""
    return [float(_FORM.fullmatch(text_of(completion)) is not None) for completion in completions]


def qa(completions: Sequence[Any], answer: Sequence[Any], **columns: Any) -> list[float | None]:
    """0.9 accuracy + 0.1 form."""
    right, shaped = accuracy(completions, answer, **columns), form(completions)
    return [0.9 * (r or 0.0) + 0.1 * (s or 0.0) for r, s in zip(right, shaped, strict=True)]


def selection_reward(labels: tuple[str, str]) -> Reward:
    """DA-RL's 0/1 reward: the last label named is the right one. None for every other row."""
    either = re.compile("(?<![A-Za-z0-9])(" + "|".join(map(re.escape, labels)) + ")(?![A-Za-z0-9])")

    def selection(completions: Sequence[Any], answer: Sequence[Any], **columns: Any) -> list[float | None]:
        scores: list[float | None] = []
        for completion, right, kind in zip(completions, answer, columns["reward"], strict=True):
            named = either.findall(text_of(completion))
            scores.append(float(bool(named) and named[-1] == right) if kind == SELECTION else None)
        return scores

    return selection


BUILT_IN: dict[str, Reward] = {"qa": qa, "accuracy": accuracy, "form": form}


def find_reward(name: str) -> Any:
    """A built-in reward by name, or anyone's by `package.module:name`.

    Raises:
        ConfigError: there is no such thing.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    module, separator, attribute = name.partition(":")
    if not separator:
        raise ConfigError(f"no reward {name!r}", f"use {', '.join(BUILT_IN)}, or package.module:name for your own")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot import {name!r}: {error}", "check the path, and that it is installed") from error
    if not callable(found):
        raise ConfigError(f"{name!r} is a {type(found).__name__}", "name a function or a class")
    return found


def find_function(name: str) -> Reward:
    """A reward function; a class is made once, with no arguments."""
    found = find_reward(name)
    reward: Reward = found() if isinstance(found, type) else found
    return reward


GIVEN = {"prompts", "completions", "completion_ids", "trainer_state", "environments", "log_extra", "log_metric"}
"""What TRL itself hands to a reward, beside the columns of the tasks."""


def columns_of(name: str) -> set[str]:
    """The columns that a reward cannot be called without.

    Raises:
        ConfigError: there is no such reward.
    """
    found = find_reward(name)
    try:
        every = list(inspect.signature(found.__call__ if isinstance(found, type) else found).parameters.values())
    except ValueError:  # written in C
        return set()
    given_by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    wanted = {p.name for p in every if p.kind in given_by_name and p.default is p.empty}
    return wanted - GIVEN - ({every[0].name} if isinstance(found, type) else set())


def _at(places: Sequence[int], values: Any, rows: int) -> Any:
    """Some rows of a column; what is no column (the trainer's state, a function) as it is."""
    return [values[place] for place in places] if isinstance(values, list) and len(values) == rows else values


def not_on_choices(reward: Reward) -> Reward:
    """The same reward, silent on DA-RL's choice tasks."""

    def silent(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        kinds = columns.get("reward") or [""] * len(completions)
        judged = [place for place, kind in enumerate(kinds) if kind != SELECTION]
        scores: list[float | None] = [None] * len(completions)
        if judged:  # the choice tasks lack the columns that a reward may read
            listed = {name: _at(judged, values, len(kinds)) for name, values in columns.items()}
            found = reward(completions=[completions[place] for place in judged], **listed)
            for place, score in zip(judged, found, strict=True):
                scores[place] = score
        return scores

    return named(silent, reward)


def named(function: Callable[..., Any], reward: Callable[..., Any]) -> Reward:
    """A function under the name of the reward that it stands for: TRL logs rewards by name."""
    function.__name__ = getattr(reward, "__name__", type(reward).__name__)
    renamed: Reward = function
    return renamed
