"""Which tests stay together where several processes share them (pytest -n)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
AT_DOCKER = re.compile(r"mark\.docker|docker_client")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests share what their module makes, so they stay together.

    Those that run containers all stay together: some count what a daemon has, and want no other tests at it.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._seen: dict[str, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        if file not in self._seen:
            self._seen[file] = "docker" if AT_DOCKER.search((ROOT / file).read_text()) else file
        return self._seen[file]
