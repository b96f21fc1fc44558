"""Which token stands for which option: found from the tokenizer and checked, never hard-coded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextrl_data.pipeline.errors import InputError

_PROBE: list[dict[str, str]] = [{"role": "user", "content": "Which context supports the answer?"}]


@dataclass(frozen=True)
class Options:
    """The two options as tokens at the answer position."""

    labels: tuple[str, str]
    ids: tuple[int, int]
    texts: tuple[str, str]
    """What is written after the generation prompt: the label, with a space before it where that is one token."""


def chat_prefix(
    processor: Any, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any], answer_prefix: str = ""
) -> str:
    """A conversation up to the place where the answer begins.

    A processor's template is rendered by its tokenizer, which passes over options that the template does not know; the
    processor itself would hand them to the images' part, with a warning for each prompt. Some of these templates know
    content in parts alone, and TRL hands them such.
    """
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        text = processor.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True, **dict(options)
        )
    else:
        text = tokenizer.apply_chat_template(
            [_in_parts(message) for message in messages],
            chat_template=processor.chat_template,
            tokenize=False,
            add_generation_prompt=True,
            **dict(options),
        )
    return str(text) + answer_prefix


def _in_parts(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    return {**message, "content": [{"type": "text", "text": content}] if isinstance(content, str) else content}


def require_chat_template(processor: Any, model: str) -> None:
    """Refuse a model that cannot hold a conversation."""
    if not getattr(processor, "chat_template", None):
        raise InputError(
            f"model {model} has no chat template",
            "use its instruct version, or give a Jinja file as pairs.chat_template",
        )


def find_options(
    processor: Any, labels: tuple[str, str], options: Mapping[str, Any], answer_prefix: str = ""
) -> Options:
    """The token of each label, right after the generation prompt and the answer's prefix.

    Raises:
        InputError: a label is not one token there, or both are the same one.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    before = chat_prefix(processor, _PROBE, options, answer_prefix)
    start = tokenizer(before, add_special_tokens=False)["input_ids"]
    spaced = bool(answer_prefix) and not answer_prefix[-1].isspace()
    for lead in (" ", "") if spaced else ("",):
        found = [_single(tokenizer, before, start, lead + label) for label in labels]
        if None not in found and found[0] != found[1]:
            texts = (lead + labels[0], lead + labels[1])
            return Options(labels, (found[0], found[1]), texts)  # type: ignore[arg-type]
    bad = [label for label in labels if _single(tokenizer, before, start, label) is None] or list(labels)
    raise InputError(
        f"option {bad[0]!r} is not a single token of its own at the answer position",
        "choose other pairs.labels (plain capital letters are single tokens in most vocabularies), "
        "or another pairs.answer_prefix",
    )


def _single(tokenizer: Any, before: str, start: list[int], label: str) -> int | None:
    ids: list[int] = tokenizer(before + label, add_special_tokens=False)["input_ids"]
    if ids[:-1] != start or ids[-1] == tokenizer.unk_token_id:
        return None
    return ids[-1]
