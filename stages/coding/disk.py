"""Watches how much a container writes: Docker's own storage drivers mostly know no limit, and a disk is shared."""

from __future__ import annotations

import threading
from typing import Any

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.daemon import charged_to_docker

EVERY_SECONDS = 1.0
"""Between two looks; a container can write past its limit for so long. The first look comes after it as well, so that
a short life costs nothing."""


class DiskWatch:
    """From `start` to `stop`, a container that holds more than `limit_bytes` of new data is removed.

    Args:
        api: the Docker SDK's low-level client.
        container: its id.
        limit_bytes: size of the container's own layer, in bytes.
    """

    def __init__(self, api: Any, container: str, limit_bytes: int) -> None:
        self.over = False
        """Whether the limit was passed; the container is gone then."""
        self._api = api
        self._container = container
        self._limit = limit_bytes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="disk-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; returns when the last look is over."""
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(EVERY_SECONDS):
            try:
                with charged_to_docker("measuring a container"):
                    found = self._api.containers(size=True, filters={"id": self._container})
                    self.over = any(each.get("SizeRw", 0) > self._limit for each in found)
                    if self.over:
                        self._api.remove_container(self._container, force=True)
            except RowFailure:
                continue  # whoever uses the container meets the same trouble, and tells it
            if self.over or not found:
                return
