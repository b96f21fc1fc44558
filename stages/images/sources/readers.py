"""Raw rows of an image-QA set, one at a time: parquet, JSONL, folders, or streamed from the Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.pipeline.hashing import sha256_file
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.batches import batch_rows
from contextrl_data.stages.images.sources.columns import FOLDER
from contextrl_data.stages.images.sources.spec import ImageSetSpec
from contextrl_data.stages.lines import split_lines

BAD_LINE: Row = {}
"""Stands for a row that cannot be read at all; compared by identity."""

LONG_LINE: Row = {}
"""Stands for a row that is too large to be read; compared by identity."""

SUFFIXES = (".parquet", ".jsonl", ".ndjson")


class RawSet(Protocol):
    """Rows of a set."""

    def fingerprint(self) -> str:
        """Identity of its content."""
        ...

    def rows(self) -> Iterator[Row]:
        """Rows as they come, in a fixed order; `BAD_LINE` or `LONG_LINE` for one that cannot be read."""
        ...


def open_set(spec: ImageSetSpec) -> RawSet:
    """The set that a spec names.

    Raises:
        InputError: there is no such file, folder or set.
    """
    path = Path(spec.path)
    if path.exists():
        return LocalSet(path)
    if spec.path.count("/") == 1 and not spec.path.startswith((".", "/")):
        return HubSet(spec)
    raise InputError(
        f"sets: {spec.path!r} is no file or folder here, nor a data set's name",
        "give a path that exists, or owner/name of a data set on the Hub",
    )


@dataclass(frozen=True)
class LocalSet:
    """A parquet or JSONL file, or a folder of them; a folder of pictures has a metadata.jsonl that names them."""

    path: Path

    def files(self) -> list[Path]:
        """Its data files, by name."""
        if self.path.is_file():
            found = [self.path]
        else:
            found = sorted(one for one in self.path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
        if not found or found[0].suffix not in SUFFIXES:
            raise InputError(f"sets: {self.path} holds no data file", f"known are {', '.join(SUFFIXES)}")
        return found

    def fingerprint(self) -> str:
        """Names and content of every file below the path, pictures too."""
        files = sorted(one for one in self.path.rglob("*") if one.is_file()) if self.path.is_dir() else [self.path]
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file.relative_to(self.path)}\0{sha256_file(file)}\0".encode())
        return digest.hexdigest()

    def rows(self) -> Iterator[Row]:
        """File by file; the paths of a file's rows begin in its folder."""
        for file in self.files():
            rows = _parquet(file) if file.suffix == ".parquet" else _lines(file)
            for row in rows:
                if "image" not in row and "file_name" in row:
                    row["image"] = row["file_name"]  # the way of `datasets`' image folders
                yield row if row is BAD_LINE or row is LONG_LINE else {**row, FOLDER: file.parent}


def _parquet(file: Path) -> Iterator[Row]:
    """A few rows at a time: pictures are large."""
    try:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=16):
                for row in batch_rows(batch):
                    yield BAD_LINE if row is None else row
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"sets: cannot read {file}: {error}", "check that it is a whole parquet file") from error


def _lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as lines:
        for line in split_lines(lines):
            if line is None:
                yield LONG_LINE
                continue
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                yield BAD_LINE
                continue
            yield row if isinstance(row, dict) else BAD_LINE


@dataclass(frozen=True)
class HubSet:
    """A set on the Hub at one commit, streamed: no more is fetched than is read."""

    spec: ImageSetSpec

    def fingerprint(self) -> str:
        """Name, commit, subset and split."""
        from huggingface_hub import HfApi, constants

        silence = constants.HF_HUB_DOWNLOAD_TIMEOUT  # without it the call waits for ever on a Hub that says nothing
        try:
            commit = HfApi().dataset_info(self.spec.path, revision=self.spec.revision, timeout=silence).sha
        except Exception as error:  # its client lets the errors of its HTTP library through
            raise self._fault(error) from error
        return f"{self.spec.path}@{commit}/{self.spec.subset}/{self.spec.split}"

    def rows(self) -> Iterator[Row]:
        """Rows with pictures as `{bytes, path}`, as the files hold them."""
        try:
            yield from self._stream()
        except (InputError, SetupError):
            raise
        except Exception as error:  # see above
            raise self._fault(error) from error

    def _stream(self) -> Iterator[Row]:
        from datasets import load_dataset

        spec = self.spec
        stream: Any = load_dataset(spec.path, spec.subset, split=spec.split, revision=spec.revision, streaming=True)
        # Where a set does not say what its columns are, nothing is decoded in any case.
        yield from stream.decode(False) if stream.features else stream

    def _fault(self, error: Exception) -> SetupError:
        return SetupError(
            f"sets: the Hub did not give {self.spec.path} ({type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''})",
            "check the name, the network, HF_ENDPOINT and, for a private or gated set, HF_TOKEN",
        )
