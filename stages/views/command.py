"""`contextrl-data export DATASET --as VIEW --out FOLDER`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import orjson
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.contextrl import CONTEXTRL
from contextrl_data.stages.views.easyr1 import EASYR1
from contextrl_data.stages.views.names import VIEW_NAMES
from contextrl_data.stages.views.skyrl import SKYRL
from contextrl_data.stages.views.source import PairFiles, open_pairs
from contextrl_data.stages.views.task import Tasks
from contextrl_data.stages.views.trl import TRL
from contextrl_data.stages.views.verl import VERL
from contextrl_data.stages.views.view import View
from contextrl_data.stages.views.write import RECORD, check_fit, put_in_place, write_view

VIEWS: dict[str, View] = {view.name: view for view in (TRL, VERL, EASYR1, CONTEXTRL, SKYRL)}
HF = "hf"
"""The dataset itself, as `load_dataset` reads it."""


@dataclass(frozen=True)
class Exported:
    """What `export` wrote."""

    folder: Path
    files: list[Row]
    """`id` (path inside the folder), `split` and `rows`; parquet or JSON lines."""


def find_view(name: str) -> View:
    """A view by name.

    Raises:
        InputError: there is none of that name.
    """
    if name in VIEWS:
        return VIEWS[name]
    near = get_close_matches(name, [HF, *VIEWS], n=1)
    known = f"known: {', '.join([HF, *VIEWS])}"
    raise InputError(f"no view {name!r}", f"did you mean {near[0]}? {known}" if near else known)


def check_views(names: Sequence[str], images: bool, tasks: Tasks) -> None:
    """Refuse views, or tasks, that a kind of pairs cannot give.

    Raises:
        InputError: naming the view.
    """
    for name in names:
        check_fit(VIEWS[name], images, tasks)


def write_views(dataset: Path, names: Sequence[str], tasks: Tasks) -> dict[str, Row]:
    """Write views of a dataset folder below `views/NAME` of itself; return their records, by name."""
    pairs = open_pairs(dataset)
    return {name: write_view(pairs, VIEWS[name], dataset / "views" / name, tasks) for name in dict.fromkeys(names)}


def export_view(dataset: Path, name: str, out: Path, tasks: Tasks = "choice", overwrite: bool = False) -> Exported:
    """Write one view of a dataset folder (or of a build's dataset) into a new folder.

    Raises:
        InputError: an unknown view, no dataset, tasks or pairs that do not fit, or a folder that must not be replaced.
    """
    view = None if name == HF else find_view(name)
    pairs = open_pairs(dataset)
    if view is not None:
        check_fit(view, pairs.images, tasks)
    elif tasks != "choice":
        raise InputError("the view hf is the dataset itself, and holds pairs, no tasks", "leave --tasks away")
    _check_target(out, pairs, overwrite)
    record = _copy(pairs, out) if view is None else write_view(pairs, view, out, tasks)
    return Exported(out, record["files"])


def _check_target(out: Path, pairs: PairFiles, overwrite: bool) -> None:
    dataset, target = pairs.folder.resolve(), out.resolve()
    if dataset.is_relative_to(target) or target.is_relative_to(dataset):
        raise InputError(f"{out} and the dataset lie in one another", "choose a folder beside it with --out")
    if not out.exists() and not out.is_symlink():
        return
    if not overwrite:
        raise InputError(f"{out} exists", "choose another folder with --out, or replace it with --overwrite")
    if not out.is_dir() or out.is_symlink() or (any(out.iterdir()) and not _is_ours(out)):
        raise InputError(
            f"{out} is no view that was exported before: it is not replaced", "choose another folder with --out"
        )


def _is_ours(folder: Path) -> bool:
    try:
        return orjson.loads((folder / RECORD).read_bytes())["view"] in (HF, *VIEW_NAMES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _copy(pairs: PairFiles, out: Path) -> Row:
    """The dataset's folder as it is; `view.json` in it says that the folder is a copy and may be replaced."""

    def fill(folder: Path) -> Row:
        shutil.copytree(pairs.folder, folder)
        files = [_file_record(pairs.folder, split, path) for split, paths in pairs.splits.items() for path in paths]
        record: Row = {"view": HF, "files": files}
        (folder / RECORD).write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
        return record

    return put_in_place(out, fill)


def _file_record(folder: Path, split: str, path: Path) -> Row:
    return {"id": path.relative_to(folder).as_posix(), "split": split, "rows": pq.read_metadata(path).num_rows}
