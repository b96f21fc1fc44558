"""What would be published: the dataset's files on this machine, proved against the dataset's own record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.hashing import sha256_file
from contextrl_data.stages.card import CARD, PLACE_OF_REPO, PROVENANCE, read_provenance
from contextrl_data.stages.facts import dataset_key


@dataclass(frozen=True)
class LocalFile:
    """One file to publish. `data` holds the bytes where they differ from the file's own (the card names its repository)."""

    name: str
    """Path in the dataset folder and in the repository, with forward slashes."""
    path: Path
    size: int
    sha256: str
    data: bytes | None = None

    @cached_property
    def git_oid(self) -> str:
        """Object id that git gives the content: what the Hub compares small files by."""
        content = self.path.read_bytes() if self.data is None else self.data
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Contents:
    """A dataset folder whose files are what its record says."""

    folder: Path
    record: Mapping[str, Any]
    key: str
    files: list[LocalFile]
    left_out: list[str]
    """Files in the folder that are not on record; they stay here."""

    @property
    def data_files(self) -> list[Path]:
        """The parquet files of the pairs, in the record's order."""
        return [self.folder / file["id"] for file in self.record["files"]]

    @property
    def view_files(self) -> list[Path]:
        """The files of the views: the same pairs in other layouts."""
        return [self.folder / name for name, _, _ in _views(self.record)]

    @property
    def tag(self) -> str:
        """The tag of the commit that first holds these rows."""
        return f"data-{self.key}"


def read_contents(named: Path, repo: str) -> Contents:
    """The dataset in a folder, or in a build's folder.

    Raises:
        InputError: there is no dataset of ours, or it is not whole.
    """
    folder = named / "dataset" if (named / "dataset" / PROVENANCE).is_file() else named
    record = read_provenance(folder)
    try:
        listed = [_listed(file) for file in record["files"]]
        views = _views(record)
        key = dataset_key(record["files"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder / PROVENANCE} lists no files", "export the dataset again") from error
    if not listed or not record.get("rows"):
        raise InputError(f"{folder} holds an empty dataset", "there is nothing to publish")
    if record.get("key", key) != key:
        raise InputError(f"the key in {folder / PROVENANCE} is not that of its files", "export the dataset again")
    files = [_data_file(folder, *one) for one in [*listed, *views]]
    files += [_card(folder, repo), _plain(folder, PROVENANCE)]
    beside = ["LICENSE", *(f"views/{name}/view.json" for name in record.get("views", {}))]
    files += [_plain(folder, name) for name in beside if (folder / name).is_file()]
    names = {file.name for file in files}
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Contents(folder, record, key, files, [name for name in found if name not in names])


def _listed(file: Mapping[str, Any], below: str = "") -> tuple[str, int, str]:
    return f"{below}{file['id']}", int(file["bytes"]), str(file["sha256"])


def _views(record: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    views = record.get("views", {}).items()
    return [_listed(file, f"views/{name}/") for name, view in views for file in view["files"]]


def _data_file(folder: Path, name: str, size: int, sha256: str) -> LocalFile:
    path = folder / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise InputError(f"the record names a file outside the dataset: {name}", "export the dataset again")
    try:
        same = path.stat().st_size == size and sha256_file(path) == sha256
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "export the dataset again") from error
    if not same:
        raise InputError(f"{path} is not the file that {PROVENANCE} lists", "it was changed: export the dataset again")
    return LocalFile(name, path, size, sha256)


def _card(folder: Path, repo: str) -> LocalFile:
    """The card, with the repository's name where the folder's copy leaves a place for it."""
    try:
        text = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder} has no readable card ({CARD})", "export the dataset again") from error
    data = text.replace(PLACE_OF_REPO, repo).encode()
    return LocalFile(CARD, folder / CARD, len(data), hashlib.sha256(data).hexdigest(), data)


def _plain(folder: Path, name: str) -> LocalFile:
    path = folder / name
    return LocalFile(name, path, path.stat().st_size, sha256_file(path))
