"""Building images through the daemon: errors found among its messages, and nothing left of a failed build."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contextrl_data.pipeline.errors import ContextRLError, RowFailure
from contextrl_data.stages.coding.daemon import NO_SPACE, charged_to_docker, connect, no_space
from contextrl_data.stages.coding.streams import pack

if TYPE_CHECKING:
    import docker

IMAGE_LABEL = "contextrl-data.image"
"""Label of every image made here: `base` or `package`."""

BUILD_SILENCE = 600
"""Seconds that one step of a build may take without a word."""

Progress = Callable[[str], None]


def image_exists(client: docker.DockerClient, tag: str) -> bool:
    """Tell whether the daemon has the image."""
    from docker.errors import ImageNotFound

    with charged_to_docker(f"looking for image {tag}"):
        try:
            client.api.inspect_image(tag)
        except ImageNotFound:
            return False
    return True


def one_file_context(dockerfile: str) -> bytes:
    """Return a build context that is a Dockerfile only."""
    return pack("Dockerfile", dockerfile.encode(), 0o644)


def build_image(client: docker.DockerClient, context: bytes, tag: str, label: Mapping[str, str], **how: Any) -> None:
    """Build a tar of a Dockerfile and its files; a failed build raises and leaves nothing under the tag."""
    doing = f"building image {tag}"
    made: list[str] = []
    try:
        with charged_to_docker(doing), patient_api(BUILD_SILENCE) as api:
            answers = api.build(
                fileobj=io.BytesIO(context),
                custom_context=True,
                tag=tag,
                rm=True,
                forcerm=True,
                labels=dict(label),
                decode=True,
                **how,
            )
            raise_errors_of(_layers_noted(answers, made), doing)
    except ContextRLError:
        for layer in reversed(made):
            remove_untagged(client, layer)
        raise


def _layers_noted(answers: Iterable[Mapping[str, Any]], made: list[str]) -> Iterator[Mapping[str, Any]]:
    for answer in answers:
        made += re.findall(r"^ ---> ([0-9a-f]{12,64})$", str(answer.get("stream", "")).rstrip("\n"))
        yield answer


def remove_untagged(client: docker.DockerClient, image: str) -> None:
    """Remove an image that no tag, image or container needs any more; leave any other alone."""
    from docker.errors import APIError

    with charged_to_docker("removing a left layer"), contextlib.suppress(APIError):
        if not client.api.inspect_image(image)["RepoTags"]:
            client.api.remove_image(image)


def raise_errors_of(answers: Iterable[Mapping[str, Any]], doing: str) -> None:
    """Read the daemon's progress messages to the end; it reports errors among them, with status 200."""
    said: list[str] = []
    for answer in answers:
        said = [*said, str(answer.get("stream", ""))][-20:]
        if "error" in answer:
            if NO_SPACE in str(answer["error"]).lower() or NO_SPACE in "".join(said).lower():
                raise no_space(doing)
            last = "".join(said).strip().splitlines()[-1:] or [""]
            raise RowFailure("docker", f"{doing}: {answer['error']} (last line: {last[0]})")


@contextmanager
def patient_api(seconds: int) -> Iterator[docker.APIClient]:
    """Connect anew with another bound on the daemon's silence; to change a shared client's would change it for all."""
    client = connect(timeout=seconds)
    try:
        yield client.api
    finally:
        client.close()
