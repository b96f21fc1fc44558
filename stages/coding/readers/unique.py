"""Ids that are unique and the same on every reading: the source's own where it has one, else made from the content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.found import Message, Unusable
from contextrl_data.stages.coding.readers.identity import LONGEST_ID
from contextrl_data.stages.coding.readers.in_arrow import MessagesInArrow

MANY_FORMATS = {"swe-smith"}
"""Formats that publish one run several times, written differently."""


def digest(messages: Sequence[Message], patch: str | None) -> str:
    """Digest of what a run is, whatever else its row says."""
    found = hashlib.sha256()
    if isinstance(messages, MessagesInArrow):
        roles, sizes = messages.roles, messages.sizes
        found.update(messages.data)
    else:
        texts = [message["content"].encode() for message in messages]
        roles, sizes = [message["role"] for message in messages], np.array([*map(len, texts)], "<i4").tobytes()
        found.update(b"".join(texts))
    found.update(sizes)
    found.update("\0".join(["", *roles, patch or ""]).encode())
    return found.hexdigest()[:32]


class Names:
    """Hands out ids and recognises runs that were read before. Holds a few dozen bytes a run."""

    def __init__(self) -> None:
        self._contents: set[tuple[str, str]] = set()
        self._runs: dict[str, str] = {}  # id -> what tells the run from another of the same id

    def unique(self, row: Row, content: str, own: str, kind: str) -> str:
        """The run's id.

        Raises:
            Unusable: it is a copy of a run that was read before.
        """
        instance = row["instance_id"]
        own = own if len(own) <= LONGEST_ID else ""
        if (instance, content) in self._contents:
            raise Unusable("duplicate trajectory")
        self._contents.add((instance, content))
        patch = hashlib.sha256((row["patch"] or "").encode()).hexdigest()[:16]
        run = f"{instance} {patch}"
        name = own or f"{instance}.{content[:8]}"
        if name in self._runs:
            if own and kind in MANY_FORMATS and self._runs[name] == run:
                raise Unusable("same run in another format")
            # Another run under the same id: what it holds tells it apart.
            name = f"{name}.{content[:8]}" if own else f"{instance}.{content}"
            if name in self._runs:
                name = f"{name}.{content}"
            while name in self._runs:  # one text under one id, as the run of several instances
                name += "+"
        self._runs[name] = run
        return name
