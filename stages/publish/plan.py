"""What a publication would change: the local files against those of the repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.card import CARD, PROVENANCE
from contextrl_data.stages.publish.contents import LocalFile
from contextrl_data.stages.publish.hub import Remote, RemoteFile

State = Literal["new", "changed", "same", "gone"]
_HARMLESS = frozenset({".gitattributes", CARD, "LICENSE"})
"""What a repository may hold before the first publication."""


@dataclass(frozen=True)
class Change:
    """One file: what becomes of it, and its size in bytes (0 for one that goes)."""

    name: str
    state: State
    size: int = 0


@dataclass(frozen=True)
class Plan:
    """Every file, in order of name."""

    changes: list[Change]
    add: list[LocalFile]
    delete: list[str]

    @property
    def empty(self) -> bool:
        """Whether the repository is as it should be."""
        return not self.add and not self.delete


def plan_of(files: Sequence[LocalFile], remote: Remote | None) -> Plan:
    """Compare. Of the repository's other files only those in the data folders go: the viewer and `load_dataset` would read them."""
    there = remote.files if remote else {}
    changes = []
    add = []
    for file in files:
        state: State = "new" if file.name not in there else "same" if _same(file, there[file.name]) else "changed"
        changes.append(Change(file.name, state, file.size))
        if state != "same":
            add.append(file)
    folders = {"data", "views", *(file.name.split("/")[0] for file in files if "/" in file.name)}
    kept = {file.name for file in files}
    delete = sorted(name for name in there if "/" in name and name.split("/")[0] in folders and name not in kept)
    changes += [Change(name, "gone") for name in delete]
    return Plan(sorted(changes, key=lambda change: change.name), add, delete)


def check_ours(remote: Remote | None, repo: str, private: bool) -> None:
    """Refuse to write over what was not published from here, or into a public repository unasked.

    Raises:
        InputError: one of both.
    """
    if remote is None:
        return
    if PROVENANCE not in remote.files and (foreign := sorted(remote.files.keys() - _HARMLESS)):
        raise InputError(
            f"{repo} holds files that contextrl-data did not publish ({', '.join(foreign[:3])})",
            "name a new repository, or empty this one on the Hub",
        )
    if private and not remote.private:
        raise InputError(
            f"{repo} is public on the Hub", "add --public if everybody may see this, or make it private in its settings"
        )


def _same(file: LocalFile, there: RemoteFile) -> bool:
    if there.sha256 is not None:
        return there.sha256 == file.sha256
    return there.size == file.size and there.git_oid == file.git_oid
