"""Open anybody's dataset: parquet, JSON lines, a folder of either, what `save_to_disk` wrote, or a Hub id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError, first_line
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.inside import is_inside
from contextrl_data.stages.lines import LONGEST_LINE, split_lines

SILENCE = 20.0
"""Seconds without an answer after which the Hub counts as not there."""
BATCH = 50
"""Rows that are read and measured at once: contexts are heavy."""
PROVENANCE = "provenance.json"
"""The record of a dataset of ours."""
_SHARD = re.compile(r"^(.+?)-\d{5}-of-\d{5}(?:-\w+)?$")
_KNOWN = re.compile(r"^(train|validation|valid|val|dev|test|probe|eval)(?:[-_.].*)?$")
_HUB = re.compile(r"^[\w-][\w.-]*(/[\w-][\w.-]*)?$")
_ENDINGS = (".parquet", ".jsonl", ".json", ".ndjson")


@dataclass(frozen=True)
class Part:
    """Rows of one split, streamed."""

    split: str
    columns: list[str]
    read: Callable[[list[str]], Iterator[list[Row]]]
    """Given top-level columns, yields lists of rows."""


@dataclass(frozen=True)
class Opened:
    """A dataset whose columns are known, before any row was read."""

    name: str
    parts: list[Part]
    base: Path | None
    """Folder that relative image paths start from."""

    @property
    def columns(self) -> list[str]:
        """Every column of any part, in order."""
        return list(dict.fromkeys(name for part in self.parts for name in part.columns))


def open_dataset(name: str, config: AuditConfig) -> Opened:
    """Find a dataset and its columns.

    Raises:
        InputError: it is not there, cannot be read, or has none of the splits that were asked for.
    """
    path = dataset_folder(Path(name).expanduser())
    if path.is_file():
        opened = Opened(name, [_file(path)], path.parent)
    elif (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
        opened = Opened(name, _saved(path), path)
    elif path.is_dir():
        opened = Opened(name, [_file(file) for file in _files(path)], path)
    elif _HUB.match(name) and not name.endswith(_ENDINGS):
        opened = Opened(name, _hub(name, config), None)
    else:
        raise InputError(f"there is no dataset {name!r}", "give a folder, a .parquet or .jsonl file, or a Hub id")
    if config.splits:
        known = {part.split for part in opened.parts}
        if missing := sorted(set(config.splits) - known):
            raise InputError(
                f"{name} has no split {', '.join(missing)}; it has {', '.join(sorted(known))}",
                "mend --set splits=[...]",
            )
        opened = Opened(name, [part for part in opened.parts if part.split in config.splits], opened.base)
    return opened


def dataset_folder(path: Path) -> Path:
    """The dataset in a build's folder; any other path as it is."""
    return path / "dataset" if (path / "dataset" / PROVENANCE).is_file() else path


def split_of(path: Path) -> str:
    """The split that a file's name tells, as `datasets` and the Hub name their files; `all` where it tells none."""
    shard = _SHARD.match(path.stem)
    if shard:
        return shard[1]
    known = _KNOWN.match(path.stem)
    return known[1] if known else "all"


def _files(folder: Path) -> list[Path]:
    if listed := _listed(folder):
        return listed
    for ending in (".parquet", ".jsonl", ".ndjson"):
        found = sorted(path for path in folder.rglob(f"*{ending}") if not path.name.startswith("."))
        if found:
            return found
    raise InputError(f"{folder} holds no .parquet and no .jsonl file", "name the folder that holds the pairs")


def _listed(folder: Path) -> list[Path]:
    """The files of a dataset of ours: beside them a folder may hold views, which are the same pairs again."""
    try:
        record = orjson.loads((folder / PROVENANCE).read_bytes())
        names = [str(file["id"]) for file in record["files"]]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return []
    if outside := [name for name in names if not is_inside(name)]:
        raise InputError(f"the record names a file outside the dataset: {outside[0]}", "export the dataset again")
    files = [folder / name for name in names]
    if missing := [file for file in files if not file.is_file()]:
        raise InputError(f"{missing[0]} is missing, and {PROVENANCE} lists it", "export the dataset again")
    return files


def _file(path: Path) -> Part:
    if path.suffix == ".parquet":
        return _parquet(path)
    if path.suffix in _ENDINGS:
        return _json(path)
    raise InputError(f"{path} is of a kind that is not read", "give a .parquet or .jsonl file, or convert it")


def _parquet(path: Path) -> Part:
    try:
        columns = pq.read_schema(path).names
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise _unreadable(path, error) from error

    def read(wanted: list[str]) -> Iterator[list[Row]]:
        try:
            with pq.ParquetFile(path) as file:
                here = [name for name in wanted if name in columns]
                for batch in file.iter_batches(batch_size=BATCH, columns=here):
                    yield batch.to_pylist()
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error

    return Part(split_of(path), columns, read)


def _json(path: Path) -> Part:
    columns: dict[str, None] = {}
    for row in islice(_json_rows(path), 1000):  # enough to know the columns; a later row may lack some of them
        columns.update(dict.fromkeys(row))

    def read(wanted: list[str]) -> Iterator[list[Row]]:
        rows = _json_rows(path)
        while batch := list(islice(rows, BATCH)):
            yield [{name: row.get(name) for name in wanted} for row in batch]

    return Part(split_of(path), list(columns), read)


def _json_rows(path: Path) -> Iterator[Row]:
    """Rows of JSON lines, or of one JSON list."""
    try:
        with path.open("rb") as file:
            if path.suffix == ".json" and file.read(64).lstrip().startswith(b"["):
                whole: Any = orjson.loads(path.read_bytes())
                yield from (_row(path, place, value) for place, value in enumerate(whole, 1))
                return
            file.seek(0)
            for number, line in enumerate(split_lines(file), 1):
                if line is None:
                    raise InputError(
                        f"{path}, row {number} is longer than {LONGEST_LINE} bytes", "shorten it, or leave it out"
                    )
                if line.strip():
                    yield _row(path, number, orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"{path} is not JSON lines: {error}", "mend the line, or convert the file to parquet"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _row(path: Path, number: int, value: object) -> Row:
    if isinstance(value, dict):
        return value
    raise InputError(f"{path}, row {number} is a {type(value).__name__}", "each row must be a JSON object")


def _saved(path: Path) -> list[Part]:
    from datasets import load_from_disk

    try:
        loaded = load_from_disk(str(path))
    except Exception as error:  # `datasets` raises whatever its readers do
        raise _unreadable(path, error) from error
    return _loaded(loaded)


def _hub(name: str, config: AuditConfig) -> list[Part]:
    from datasets import load_dataset

    silent = _why_silent(name, config)
    try:
        with _cache_alone() if silent else nullcontext():
            loaded = load_dataset(name, config.name, revision=config.revision)
    except Exception as error:  # the Hub, the network, the cache: the user can mend all of it
        reason = f"the Hub does not answer ({silent})" if silent else first_line(error)
        raise InputError(
            f"{name} is no local file or folder, and cannot be loaded from the Hub: {reason}",
            "check the name, the network, and HF_TOKEN for a private dataset",
        ) from error
    return _loaded(loaded)


def _why_silent(name: str, config: AuditConfig) -> str:
    """Why the Hub cannot be asked; nothing where it answers, be it with a no. `load_dataset` would ask for half a minute."""
    from httpx import TransportError
    from huggingface_hub import HfApi

    try:
        HfApi().dataset_info(name, revision=config.revision, timeout=SILENCE)
    except (TransportError, ConnectionError) as error:
        return type(error).__name__
    except Exception:  # no such set, no right to it: `load_dataset` says it better
        return ""
    return ""


@contextmanager
def _cache_alone() -> Iterator[None]:
    """Within it `datasets` takes a Hub's dataset from its cache at once, or says that it is not there."""
    from datasets import config
    from huggingface_hub import constants

    before = config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def _loaded(loaded: Any) -> list[Part]:
    splits = loaded if isinstance(loaded, dict) else {str(loaded.split or "all"): loaded}
    return [_arrow(str(split), part) for split, part in splits.items()]


def _arrow(split: str, dataset: Any) -> Part:
    def read(wanted: list[str]) -> Iterator[list[Row]]:
        here = dataset.select_columns([name for name in wanted if name in dataset.column_names]).with_format("arrow")
        for table in here.iter(batch_size=BATCH):
            yield table.to_pylist()

    return Part(split, list(dataset.column_names), read)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"cannot read {path}: {first_line(error)}", "the file is damaged or no dataset: make or fetch it again"
    )
