"""Identifiers that give an answer away without any reading: invented by it, or shown by one context only."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping, Sequence

from contextrl_data.stages.lexical import context_text, identifiers, names_in

NAME = "<NAME_MASKED>"


_COINED = re.compile(r"_|[a-z][A-Z]|\d")


def coined_names(added: Iterable[str]) -> frozenset[str]:
    """Names in added lines that an answer may have invented: code names only, no plain words."""
    names = identifiers("\n".join(added))
    return frozenset(name for name in names if len(name) >= 6 and _COINED.search(name) and not hasattr(builtins, name))


def mask_names(names: Iterable[str], messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The messages with each of these names replaced wherever it stands as a whole word."""
    shown = context_text(messages)
    ordered = sorted((name for name in names if name in shown), key=lambda name: (-len(name), name))
    if not ordered:
        return list(messages)
    pattern = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, ordered))})(?![A-Za-z0-9_])")
    return [
        {"role": message["role"], "content": pattern.sub(NAME, message["content"])}
        if any(name in message["content"] for name in ordered)
        else message
        for message in messages
    ]


def telling_names(patches: Sequence[str], contexts: Sequence[Sequence[Mapping[str, str]]]) -> list[str]:
    """Names that a patch holds and only one of two contexts shows."""
    names = identifiers("\n".join(patches))
    one, other = (names_in(context_text(context), names) for context in contexts)
    return sorted(one ^ other)
