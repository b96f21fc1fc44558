"""Replies of chat models on disk, by the content of what was asked: no question is paid for twice."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import orjson

from contextrl_data.pipeline.store import write_shared


def default_folder() -> Path:
    """The per-user folder for replies."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "contextrl-data" / "chat"


class ReplyCache:
    """One small file a reply. Safe for many threads and processes: files are written aside and renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(**question: Any) -> str:
        """Digest of everything that the reply may depend on."""
        packed = orjson.dumps(question, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(packed).hexdigest()

    def get(self, key: str) -> str | None:
        """The reply's text; None where it is not known, or its file is damaged."""
        try:
            text = orjson.loads(self._path(key).read_bytes())["text"]
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return text if isinstance(text, str) else None

    def put(self, key: str, text: str) -> None:
        """Keep a reply."""
        # A model may answer with half a surrogate pair; what is kept must be readable again.
        write_shared(self._path(key), orjson.dumps({"text": text.encode("utf-8", "replace").decode()}))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
