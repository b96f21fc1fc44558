"""Images made here, brought to a registry from which a cluster's nodes can pull them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import RowFailure, SetupError
from contextrl_data.stages.coding.daemon import charged_to_docker
from contextrl_data.stages.coding.image_build import patient_api, raise_errors_of

if TYPE_CHECKING:
    import docker

SILENCE = 300
"""Seconds that a registry may stay silent while it takes an image."""


def push_image(client: docker.DockerClient, image: str, name: str) -> None:
    """Push `image` as `name`, with the logins of this machine's Docker; layers that the registry has are not sent.

    Raises:
        SetupError: the registry did not take it.
    """
    doing = f"pushing {name}"
    repository, _, tag = name.rpartition(":")
    try:
        with charged_to_docker(doing), patient_api(SILENCE) as api:
            client.api.tag(image, repository, tag)
            try:
                raise_errors_of(api.push(repository, tag, stream=True, decode=True), doing)
            finally:
                client.api.remove_image(name, noprune=True)  # the second name only
    except RowFailure as failure:
        raise SetupError(
            f"{failure.message.removeprefix(f'{doing}: ')} (while {doing})",
            "log this machine's Docker in (`docker login`), or correct backend.image_prefix",
        ) from failure
