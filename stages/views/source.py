"""The dataset that a view is made of: a folder with `data/SPLIT-*.parquet`, read a row group at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError, first_line
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.task import IMAGE_COLUMNS, TEXT_COLUMNS

_FILE = re.compile(r"(?P<split>[^/]+)-\d{5}-of-\d{5}\.parquet")
BATCH = 50
"""Rows in memory at once: image rows and long contexts are heavy."""

OPTIONAL = ("pair_id", "domain", "choices", "image_id_pos")


@dataclass(frozen=True)
class PairFiles:
    """A dataset folder, checked."""

    folder: Path
    splits: dict[str, list[Path]]
    """Files of each split, in order; train, validation and probe first."""
    images: bool
    """Image pairs, or text pairs."""

    def rows(self, split: str) -> Iterator[Row]:
        """Rows of one split, in the order of the dataset, with the columns that views use."""
        wanted = {*(IMAGE_COLUMNS if self.images else TEXT_COLUMNS), *OPTIONAL}
        for path in self.splits[split]:
            try:
                with pq.ParquetFile(path, pre_buffer=False) as file:  # else the whole file stays in memory
                    columns = [name for name in file.schema_arrow.names if name in wanted]
                    for batch in file.iter_batches(batch_size=BATCH, columns=columns):
                        yield from batch.to_pylist()
            except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
                raise InputError(
                    f"cannot read {path}: {first_line(error)}", "the dataset is damaged: build it again"
                ) from error


def open_pairs(folder: Path) -> PairFiles:
    """Find the files of a dataset folder, or of a build's folder, and check that they hold pairs.

    Raises:
        InputError: there is no such folder, no dataset in it, or it holds something else than pairs.
    """
    remedy = "give a dataset folder that contextrl-data exported (it has data/*.parquet), or a build's folder"
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", remedy)
    if not (folder / "data").is_dir() and (folder / "dataset" / "data").is_dir():
        folder = folder / "dataset"
    splits: dict[str, list[Path]] = {}
    for path in sorted((folder / "data").glob("*.parquet")):
        if found := _FILE.fullmatch(path.name):
            splits.setdefault(found["split"], []).append(path)
    if not splits:
        raise InputError(f"{folder} holds no dataset", remedy)
    names = [name for name in ("train", "validation", "probe") if name in splits]
    ordered = {name: splits[name] for name in [*names, *sorted(splits.keys() - set(names))]}
    images = {_holds_images(path, remedy) for paths in ordered.values() for path in paths}
    if len(images) > 1:
        raise InputError(f"{folder} mixes text pairs and image pairs", "put them into two folders")
    return PairFiles(folder, ordered, images.pop())


def _holds_images(path: Path, remedy: str) -> bool:
    try:
        columns = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: it is no parquet file", "build the dataset again") from error
    images = "image_pos" in columns
    if missing := [name for name in (IMAGE_COLUMNS if images else TEXT_COLUMNS) if name not in columns]:
        raise InputError(f"{path} has no column {missing[0]}: it holds no pairs", remedy)
    return images
