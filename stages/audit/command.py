"""`contextrl-data audit`: measure a dataset, say it, write it down."""

from __future__ import annotations

from pathlib import Path

import orjson
from rich.console import Console

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.store import write_atomic
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.reading import dataset_folder
from contextrl_data.stages.audit.result import AuditResult
from contextrl_data.stages.audit.run import audit_dataset
from contextrl_data.stages.audit.show import show
from contextrl_data.stages.card import PROVENANCE, read_provenance, write_card

STRICT = 3
"""Exit code under `--strict` of a dataset that failed."""


def audit_command(
    dataset: str,
    config: AuditConfig,
    console: Console,
    *,
    json_file: Path | None = None,
    card: bool = False,
    strict: bool = False,
) -> int:
    """Audit a dataset; returns the exit code.

    Raises:
        UserError: the dataset cannot be audited, or there is no card of ours to write into.
    """
    folder = _our_folder(dataset) if card else None
    if json_file is not None:
        _make_room(json_file)  # before the work, not after it
    result = audit_dataset(dataset, config)
    show(result, console)
    if json_file is not None:
        packed = orjson.dumps(result.record(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        try:
            write_atomic(json_file, packed)
        except OSError as error:
            raise _unwritable(json_file, error) from error
        console.print(f"written to {json_file}", soft_wrap=True, highlight=False, markup=False)
    if folder is not None:
        write_into_card(folder, result)
        console.print(f"card: {folder / 'README.md'}", soft_wrap=True, highlight=False, markup=False)
    return STRICT if strict and not result.passed else 0


def write_into_card(folder: Path, result: AuditResult) -> None:
    """Put the audit on record in `provenance.json`, and write the card anew.

    Raises:
        InputError: the folder holds no dataset of ours.
    """
    record = read_provenance(folder)
    # Where the folder lies is no property of the dataset: the same build must give the same card anywhere.
    record["audit"] = {**result.record(), "dataset": folder.name}
    write_atomic(folder / PROVENANCE, orjson.dumps(record, option=orjson.OPT_INDENT_2))
    write_card(folder)


def _make_room(json_file: Path) -> None:
    try:
        json_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(json_file, error) from error


def _unwritable(json_file: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {json_file}: {error.strerror}", "give --json another path")


def _our_folder(dataset: str) -> Path:
    folder = dataset_folder(Path(dataset).expanduser())
    if not (folder / PROVENANCE).is_file():
        raise InputError(
            f"--write-card needs a dataset folder of contextrl-data, and {dataset} has no {PROVENANCE}",
            "leave --write-card out, or use --json FILE",
        )
    return folder
