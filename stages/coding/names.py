"""Identifiers that give an answer away without any reading: invented by it, or shown by one context only."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping, Sequence

from contextrl_data.stages.lexical import context_text, identifiers

NAME = "<NAME_MASKED>"


_COINED = re.compile(r"_|[a-z][A-Z]|\d")


def invented_names(added: Iterable[str], seen: frozenset[str]) -> list[str]:
    """Names that added lines bring in and no command had shown before: code names only, no plain words."""
    names = identifiers("\n".join(added)) - seen
    return sorted(name for name in names if len(name) >= 6 and _COINED.search(name) and not hasattr(builtins, name))


def mask_names(names: Sequence[str], messages: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """The messages with each of these names replaced wherever it stands as a whole word."""
    copies = [{"role": message["role"], "content": message["content"]} for message in messages]
    shown = context_text(copies)
    ordered = sorted((name for name in names if name in shown), key=lambda name: (-len(name), name))
    if not ordered:
        return copies
    pattern = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, ordered))})(?![A-Za-z0-9_])")
    for message in copies:
        if any(name in message["content"] for name in ordered):
            message["content"] = pattern.sub(NAME, message["content"])
    return copies


def telling_names(patches: Sequence[str], contexts: Sequence[Sequence[Mapping[str, str]]]) -> list[str]:
    """Names that a patch holds and only one of two contexts shows."""
    seen = [identifiers(context_text(context)) for context in contexts]
    return sorted(identifiers("\n".join(patches)) & (seen[0] ^ seen[1]))
