"""A Hub that refuses, breaks, hangs or loses its answers while a dataset is published, or while a set is read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import hub_state
from hub_server import HubServer, serving
from hub_state import READ_WRITE

from chaos.episode import RUN_SECONDS, Episode
from chaos.faults import Fault, Outcome
from chaos.world import World

REPO = "my-org/pairs"
CALLS = (
    ("GET", "whoami"),
    ("GET", r"/api/datasets/my-org/pairs$"),
    ("GET", "/tree/"),
    ("GET", "/refs$"),
    ("POST", "repos/create"),
    ("POST", "validate-yaml"),
    ("POST", "/preupload/"),
    ("POST", "objects/batch"),
    ("PUT", "/storage/"),
    ("POST", "/verify/"),
    ("POST", "/commit/"),
    ("POST", "/tag/"),
)
"""Every call that publishing makes."""
READS = (("GET", "/api/datasets/my-org/qa"), ("GET", "/resolve/"), ("GET", "/tree/"))
KINDS = ("status", "status", "cut", "cut body", "lost", "hang")


def drawn(draw: Random, calls: tuple[tuple[str, str], ...], longest: int) -> hub_state.Fault:
    """One fault of the Hub: which call, how it fails, how often."""
    method, path = draw.choice(calls)
    kind = draw.choice(KINDS)
    status = draw.choice([429, 500, 502, 503])
    headers = {"Retry-After": "1"} if status == 429 else {}
    times = 1 if kind == "hang" else draw.choice([1, 1, 2, longest])
    return hub_state.Fault(method, path, kind, times, status, headers)


def met(faults: list[hub_state.Fault], planned: list[int]) -> int:
    """How many of the faults were met."""
    return sum(fault.times < times for fault, times in zip(faults, planned, strict=True))


@dataclass(frozen=True)
class PublishingFails(Fault):
    """`publish` again, until it ends well: one commit, of the same files, and one tag."""

    name = "Hub fails (publish)"

    def lane(self, build: str) -> str:
        """See `Fault`."""
        return "servers"

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """Not on a build."""
        raise NotImplementedError

    def episode(self, world: World, build: str, folder: Path, draw: Random, most: int) -> Outcome:
        """Publish under faults, then without."""
        made = world.builds[build]
        wanted = world.published.setdefault(build, {}) or self._undisturbed(world, build, folder)
        (folder / "tmp").mkdir(parents=True)
        dishonest: list[str] = []
        with serving() as hub:
            hub.faults = [drawn(draw, CALLS, 6) for _ in range(most)]
            planned = [fault.times for fault in hub.faults]
            code, said = publish(hub, made.runs / made.folder / "dataset", folder)
            struck = met(hub.faults, planned)
            if "Traceback (most recent call last)" in said:
                dishonest.append(f"a traceback, exit code {code}")
            if code == 0 and files_of(hub) != wanted:
                dishonest.append("exit code 0, but the Hub holds other files")
            hub.faults = []
            code, said = publish(hub, made.runs / made.folder / "dataset", folder)
            if code:
                dishonest.append(f"the second try ended with {code}: {said[-200:]}")
            found = files_of(hub)
            commits = [one.title for one in hub.repos[REPO].commits]
        different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        left = [f"temporary file {path.relative_to(folder)}" for path in (folder / "tmp").rglob("*")]
        left += [f"commit {title}" for title in commits[2:]]
        shutil.rmtree(folder)
        return Outcome(struck, different, left, [], dishonest)

    def _undisturbed(self, world: World, build: str, folder: Path) -> dict[str, str]:
        made = world.builds[build]
        (folder / "tmp").mkdir(parents=True)
        with serving() as hub:
            code, said = publish(hub, made.runs / made.folder / "dataset", folder)
            assert code == 0, said
            world.published[build] = files_of(hub)
        shutil.rmtree(folder)
        return world.published[build]


def publish(hub: HubServer, dataset: Path, folder: Path) -> tuple[int, str]:
    """Exit code and words of one `publish`."""
    environ = {
        **os.environ,
        "HF_TOKEN": READ_WRITE,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "0",
        "KF_RULE_CACHE_DIR": str(folder.parent / "rules"),
        "TMPDIR": str(folder / "tmp"),
    }
    command = [
        sys.executable,
        "-m",
        "contextrl_data.pipeline.cli",
        "publish",
        str(dataset),
        "--repo",
        REPO,
        "--timeout",
        "2",
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=RUN_SECONDS)
    return done.returncode, done.stdout + done.stderr


def files_of(hub: HubServer) -> dict[str, str]:
    """Name -> content's id of every file of the last commit, and where the tags are."""
    if REPO not in hub.repos:
        return {}
    last = hub.repos[REPO].commits[-1]
    tags = {f"tag {name}": str(oid == last.oid) for name, oid in hub.repos[REPO].tags.items()}
    return {name: one.sha256 or one.oid for name, one in last.files.items()} | tags


@dataclass(frozen=True)
class ReadingFails(Fault):
    """A build that reads a set from the Hub."""

    name = "Hub fails (reading a set)"
    builds: tuple[str, ...] = field(default=("images-hub",), kw_only=True)

    def lane(self, build: str) -> str:
        """See `Fault`."""
        return "servers"

    def strike(self, world: World, episode: Episode, draw: Random, most: int) -> None:
        """See `Fault`."""
        assert world.hub is not None
        episode.environ |= {"HF_HOME": str(episode.folder / "hf"), "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
        episode.fill()
        world.hub.faults = [drawn(draw, READS, 8) for _ in range(most)]
        planned = [fault.times for fault in world.hub.faults]
        episode.finish(episode.start())
        episode.struck = met(world.hub.faults, planned)
        world.hub.faults = []

    def cuts(self, world: World, build: str) -> list[str]:
        """Before the set is read."""
        return ["image_sets"]
