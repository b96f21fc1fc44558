"""Images that are not here when a task asks for them: pulled for other people's task sets, rebuilt for our own.

An image that its registry does not have is the task's fault, and trying again would not help. A registry that is out
of reach is nobody's label: the row fails and comes back with the next run.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.daemon import charged_to_docker
from contextrl_data.stages.coding.faults import UnusableTask
from contextrl_data.stages.coding.image_build import image_exists, patient_api, raise_errors_of

if TYPE_CHECKING:
    import docker

OWN_IMAGES = "contextrl-data/"
"""Names of images that are built here; no registry has them."""
SILENCE = 120
"""Seconds that a registry may stay silent while it serves an image."""
WAIT = 60.0
"""Seconds for which a registry that was out of reach is not asked again."""

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_absent: dict[str, str] = {}
"""Image -> what its registry said; not asked again by this process."""
_unreachable: dict[str, tuple[float, str]] = {}
"""Registry -> when it was last found out of reach, and how that showed."""


def fetch_image(client: docker.DockerClient, image: str) -> None:
    """Pull an image that the daemon does not have; several threads that ask for it pull it once.

    Raises:
        UnusableTask: its registry answers, and does not have it.
        RowFailure: the registry cannot be reached, or the image is one of ours and was removed.
    """
    if image.startswith(OWN_IMAGES):
        raise RowFailure("image", f"{image} was removed; the same command, run again, rebuilds it")
    registry = registry_of(image)
    with _locks[image]:
        if image not in _absent and not image_exists(client, image):
            _pull(image, registry)
        if image in _absent:
            raise UnusableTask("image not found", f"{image}, also not at {registry} ({_absent[image]})")


def registry_of(image: str) -> str:
    """The host that an image's name sends a pull to."""
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first if named else "docker.io"


def _pull(image: str, registry: str) -> None:
    from docker.errors import APIError, NotFound

    since, fault = _unreachable.get(registry, (0.0, ""))
    if not fault or time.monotonic() - since >= WAIT:
        doing = f"pulling {image}"
        try:
            with charged_to_docker(doing), patient_api(SILENCE) as api:
                # The client adds `latest` where no tag is named; the daemon would pull every tag.
                raise_errors_of(api.pull(image, stream=True, decode=True), doing)
            return
        except RowFailure as failure:
            fault = failure.message.removeprefix(f"{doing}: ")
            cause = failure.__cause__
        if isinstance(cause, NotFound) or "manifest unknown" in fault:
            _absent[image] = fault
            return
        if not isinstance(cause, APIError) or cause.status_code != 400:  # 400: the name itself is wrong
            _unreachable[registry] = time.monotonic(), fault
    raise RowFailure("registry", f"{image} is not here and cannot be pulled from {registry}: {fault}")
