"""Datasets by the names that settings give them: a folder on this disk or an id on the Hub, read split by split.

A name that can only be meant for this disk is never looked up on the Hub, which would try five times.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import ConfigError, InputError, MissingExtra, first_line
from contextrl_data.stages.train.config import TrainConfig

_WRITTEN_BY = {
    "pairs": "write it with `contextrl-data export BUILD --as hf --out {name}`, or name another folder or a Hub id",
    "tasks": "`contextrl-data tasks --output {name}` writes those of a coding build; any folder or Hub id with questions "
    "and answers will do",
}


def find_dataset(name: str, what: str) -> Path | None:
    """Where a dataset of `what` (`pairs` or `tasks`) is on this disk; None: it is one of the Hub.

    Raises:
        InputError: no name, a folder that is not there, or one without data.
    """
    if not name:
        raise InputError(f"no dataset of {what} is given", f"set {what}.dataset to an exported folder or a Hub id")
    path = Path(name).expanduser()
    if not path.exists():
        if _means_this_disk(name):
            raise InputError(f"no such folder {name}, where {what} should be", _WRITTEN_BY[what].format(name=name))
        return None
    if path.is_dir() and not any(path.rglob("*.parquet")) and not any(path.rglob("*.jsonl")):
        raise InputError(f"{name} holds no dataset", "give the folder that the build exported (with data/*.parquet)")
    return path.resolve()


def _means_this_disk(name: str) -> bool:
    """Whether a name that is not there cannot be a Hub id (`name` or `owner/name`), or begins in a folder that is there."""
    first, *rest = Path(name).parts
    return first in ("/", "..", "data") or name.startswith((".", "~")) or len(rest) > 1 or Path(first).exists()


def load_split(name: str, split: str, what: str, setting: str = "split") -> Any:
    """One split of a local folder or a Hub dataset. `setting`, of the section `what`, is where its name stands.

    Raises:
        InputError: it is not there, or empty.
    """
    try:
        from datasets import disable_progress_bars, load_dataset
    except ImportError as error:
        raise MissingExtra("train", "reading a dataset") from error
    disable_progress_bars()
    source = find_dataset(name, what)
    try:
        rows = load_dataset(str(source or name), split=split)
    except Exception as error:
        if source and _without_rows(source, split):
            raise _empty(name, split, f"{what}.{setting}") from error
        if source or isinstance(error, ValueError):  # of the Hub only where it answered
            require_split(name, split, what, f"{what}.{setting}")
        raise InputError(
            f"cannot load {split!r} of {name}: {first_line(error)}",
            f"check {what}.{setting}, the path or Hub id, and the network for a Hub id",
        ) from error
    if len(rows) == 0:
        raise _empty(name, split, f"{what}.{setting}")
    return rows


def require_split(name: str, split: str, what: str, setting: str) -> None:
    """Refuse a split that a dataset does not have. `setting` is the whole path of where its name stands.

    Raises:
        InputError: it is not there; the message names those that are.
    """
    there = split_names(name, what)
    if there and split.partition("[")[0] not in there:  # `train[:100]` is a split too
        ways = [f"--set {setting}={other}" for other in there]
        none = [f"--set {setting}= to measure nothing"] if setting in ("pairs.eval_split", "tasks.eval_split") else []
        raise InputError(f"{name} has no split {split!r}, only {', '.join(there)}", " or ".join([*ways, *none]))


def split_names(name: str, what: str) -> Sequence[str]:
    """The splits of a dataset; none where they cannot be learnt.

    Raises:
        InputError: the dataset should be on this disk, and is not.
    """
    from datasets import get_dataset_split_names

    source = find_dataset(name, what)
    try:
        return list(get_dataset_split_names(str(source or name)))
    except Exception:  # whatever it is, reading the split says it better
        return []


def settle(config: TrainConfig) -> tuple[TrainConfig, list[str]]:
    """Find both datasets, and leave out the measurement on a split that only the default names and that is not there.

    Returns the settings that the run has, and notes on what was left out.

    Raises:
        UserError: a dataset is not there.
    """
    pairs = config.pairs
    if config.uses_pairs and not pairs.dataset:
        raise ConfigError(f"objective {config.objective} needs pairs", "set pairs.dataset, or objective to grpo")
    find_dataset(config.tasks.dataset, "tasks")
    if not pairs.dataset:
        return config, []
    find_dataset(pairs.dataset, "pairs")
    if "eval_split" in pairs.model_fields_set:
        return config, []
    there = split_names(pairs.dataset, "pairs")
    if not there or pairs.eval_split in there:
        return config, []
    note = (
        f"{pairs.dataset} has no split {pairs.eval_split!r}: selection accuracy is not measured "
        f"(it has {', '.join(there)}; --set pairs.eval_split=... names another, --set pairs.eval_split= none)"
    )
    settled = pairs.model_copy(update={"eval_split": ""})
    return config.model_copy(update={"pairs": settled}), [note]


def _empty(name: str, split: str, setting: str) -> InputError:
    return InputError(f"split {split!r} of {name} is empty", f"build more data, or set {setting} to another one")


def _without_rows(folder: Path, split: str) -> bool:
    """Whether a split's files are there and hold nothing; `datasets` cannot read such files at all."""
    import pyarrow.parquet as pq

    files = list(folder.rglob(f"{split}*.parquet")) if folder.is_dir() else []
    return bool(files) and all(pq.read_metadata(file).num_rows == 0 for file in files)
