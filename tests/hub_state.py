"""What the Hub of the tests holds: repositories, commits, files, and the faults still to come."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

READ_WRITE, READ_ONLY = "hub-test-write", "hub-test-read"
ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"


def git_oid(data: bytes, kind: str = "blob") -> str:
    """Object id as git computes it."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


@dataclass(frozen=True)
class Stored:
    """One file of one commit; `sha256` for LFS."""

    oid: str
    size: int
    sha256: str = ""

    def facts(self, path: str) -> dict[str, Any]:
        """As the tree and paths calls tell it."""
        found: dict[str, Any] = {"type": "file", "path": path, "size": self.size, "oid": self.oid}
        if self.sha256:
            found["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 130}
        return found


@dataclass
class Commit:
    """One commit: all files of the repository."""

    oid: str
    title: str
    files: dict[str, Stored]


@dataclass
class Repo:
    """A data set repository."""

    private: bool
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, title: str, files: dict[str, Stored]) -> Commit:
        """Add a commit."""
        text = json.dumps([title, len(self.commits), sorted((name, one.oid) for name, one in files.items())])
        self.commits.append(Commit(git_oid(text.encode(), "commit"), title, files))
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        """The commit of a branch, tag or id."""
        wanted = self.tags.get(revision, revision)
        if wanted in ("main", "refs/heads/main"):
            return self.commits[-1]
        return next((one for one in self.commits if one.oid == wanted), None)


@dataclass
class Fault:
    """What goes wrong with the next `times` calls whose method and path match.

    `status`: that answer, with `headers`. `cut`: the connection ends before the call is heard. `cut body`: it ends when half
    of the body has come. `lost`: the call is carried out, its answer never comes. `hang`: no answer until the test ends.
    """

    method: str
    path: str
    kind: str
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    skip: int = 0
    """Calls that match and go well first."""
