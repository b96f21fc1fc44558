"""Disk that images take, and a budget for it: those used least recently go first, never one that is needed or a stranger's."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import orjson

from contextrl_data.pipeline.errors import RowFailure, SetupError
from contextrl_data.stages.coding.daemon import charged_to_docker, connect
from contextrl_data.stages.coding.image_build import IMAGE_LABEL
from contextrl_data.stages.coding.image_record import Noted, Origin, hold, let_go, opened
from contextrl_data.stages.doctor import Check

if TYPE_CHECKING:
    import docker

NOTE_SECONDS = 60.0
"""Between two notes of one process that it uses an image: a sandbox may start every second."""

Layers = Mapping[str, int]
"""Layer -> bytes. A layer is known by the digest of the lowest one and the steps of the image's history up to it: images
that share it share these. Two steps on one image, of one second, one command and one size, would pass for one."""

_layers: dict[str, Layers] = {}
"""By image id: an image never changes."""
_noted: dict[tuple[str, str], float] = {}
_daemons: WeakKeyDictionary[docker.DockerClient, str] = WeakKeyDictionary()
_lock = threading.Lock()


def bytes_of(text: str) -> int:
    """A size such as `50g` in bytes; the units are Docker's, powers of 1024."""
    units = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
    number, unit = (text[:-1], text[-1].lower()) if text[-1].isalpha() else (text, "b")
    return int(float(number) * units[unit])


def layers_of(client: docker.DockerClient, image: str) -> Layers:
    """Layers of an image, by its id, with their sizes."""
    if image not in _layers:
        with charged_to_docker(f"reading the history of {image}"):
            history: list[dict[str, Any]] = client.api.history(image)
            digests = client.api.inspect_image(image)["RootFS"].get("Layers") or [image]
        found: dict[str, int] = {}
        chain = str(digests[0]).encode()  # imported images have no steps to tell them apart
        for step in reversed(history):
            parts = [step.get(name) for name in ("Created", "CreatedBy", "Size", "Comment")]
            chain = hashlib.sha256(chain + orjson.dumps(parts)).digest()
            if step["Size"]:
                found[chain.hex()] = int(step["Size"])
        _layers[image] = found
    return _layers[image]


def disk_of(client: docker.DockerClient, images: Iterable[str]) -> int:
    """Bytes that these images (ids) take together: a layer that several share counts once."""
    together: dict[str, int] = {}
    for image in images:
        together.update(layers_of(client, image))
    return sum(together.values())


@contextmanager
def needed(client: docker.DockerClient, image: str, budget: str | None) -> Iterator[None]:
    """Around pulling an image and starting a container of it: nobody removes it meanwhile. Afterwards room is made."""
    daemon, must = _daemon(client), budget is not None
    with opened(daemon, must=must) as images:
        hold(images, image, "pulled")
    try:
        yield
    finally:
        with opened(daemon, must=must) as images:
            let_go(images, image)
            if image in images and not images[image].held() and _id_of(client, image) is None:
                del images[image]
        make_room(client, budget)  # also where the image turned out to be of no use, or the disk is full


def keep(client: docker.DockerClient, image: str, budget: str | None = None) -> None:
    """An image was built here, or found that was: it stays for as long as this process lives."""
    with opened(_daemon(client), must=budget is not None) as images:
        hold(images, image, "built")
    make_room(client, budget)


def note_use(client: docker.DockerClient, image: str) -> None:
    """A container of the image was started. One that was built here stays for the life of this process from now on: it
    cannot be pulled again."""
    daemon, now = _daemon(client), time.monotonic()
    with _lock:
        if now - _noted.get((daemon, image), -NOTE_SECONDS) < NOTE_SECONDS:
            return
        first = (daemon, image) not in _noted
        _noted[daemon, image] = now
    with opened(daemon) as images:
        if image not in images:
            return
        images[image].used = round(time.time(), 3)
        if first and images[image].origin == "built":
            hold(images, image, "built")


def make_room(client: docker.DockerClient, budget: str | None) -> list[str]:
    """Remove the images used least recently until the rest fits into the budget; return their references.

    Left alone are images that a process holds or a container uses, that carry a name which is not in the record, and
    all that the record does not know.
    """
    if budget is None:
        return []
    limit, removed = bytes_of(budget), []
    with opened(_daemon(client), must=True) as images:
        ids = {name: found for name in list(images) if (found := _id_of(client, name)) is not None}
        for name in images.keys() - ids.keys():
            if not images[name].held():
                del images[name]
        if disk_of(client, ids.values()) <= limit:
            return []
        with charged_to_docker("listing containers"):
            busy = {each["ImageID"] for each in client.api.containers(all=True)}
        for name in sorted(ids, key=lambda one: (images[one].used, one)):
            if disk_of(client, ids.values()) <= limit:
                break
            ours = [other for other, found in ids.items() if found == ids[name]]
            if images[name].held() or ids[name] in busy or _tags(client, ids[name]) > len(ours):
                continue
            if _removed(client, name):
                removed.append(name)
                del images[name], ids[name]
    return removed


def _removed(client: docker.DockerClient, image: str) -> bool:
    from docker.errors import APIError

    try:
        with charged_to_docker(f"removing {image}"):
            client.api.remove_image(image)
    except RowFailure as failure:
        if isinstance(failure.__cause__, APIError) and failure.__cause__.status_code in (404, 409):
            return bool(failure.__cause__.status_code == 404)  # 409: a container was started of it at this moment
        raise
    return True


def _id_of(client: docker.DockerClient, image: str) -> str | None:
    from docker.errors import ImageNotFound

    with charged_to_docker(f"looking for image {image}"):
        try:
            return str(client.api.inspect_image(image)["Id"])
        except ImageNotFound:
            return None


def _tags(client: docker.DockerClient, image: str) -> int:
    with charged_to_docker(f"looking for image {image}"):
        return len(client.api.inspect_image(image)["RepoTags"] or [])


def _daemon(client: docker.DockerClient) -> str:
    """The daemon's own id: another machine's images are others."""
    if client not in _daemons:
        with charged_to_docker("asking for the daemon's id"):
            _daemons[client] = str(client.api.info().get("ID") or client.api.base_url)
    return _daemons[client]


def check_images() -> list[Check]:
    """What `doctor` says of the disk that images take; nothing where Docker does not answer, which it says itself."""
    try:
        client = connect(timeout=15)
    except SetupError:
        return []
    try:
        return [Check("disk of images", "ok", _told(client))]
    except RowFailure as failure:
        return [Check("disk of images", "warn", failure.message[:160], "see Docker's own log")]
    finally:
        client.close()


def _told(client: docker.DockerClient) -> str:
    with charged_to_docker("listing images"):
        built = {each["Id"] for each in client.api.images(filters={"label": IMAGE_LABEL})}
    with opened(_daemon(client)) as images:
        noted: dict[str, Noted] = dict(images)
    ids = {name: _id_of(client, name) for name in noted}
    pulled = {found for name, found in ids.items() if found is not None and noted[name].origin == "pulled"}
    removable = {found for name, found in ids.items() if found is not None and not noted[name].held()}
    disk = disk_of(client, built | pulled)
    free = disk - disk_of(client, (built | pulled) - removable)
    return (
        f"{len(built):,} built and {len(pulled):,} pulled for builds take {disk / 1e9:.2f} GB, shared layers counted once; "
        f"sandbox.image_budget may free {free / 1e9:.2f} GB of it"
    )


__all__ = ["Origin", "bytes_of", "check_images", "disk_of", "keep", "layers_of", "make_room", "needed", "note_use"]
