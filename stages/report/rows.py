"""Where the pairs of a report come from: an exported folder, and what a build holds back for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from contextrl_data.pipeline.build import BuildFolder
from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.card import read_provenance
from contextrl_data.stages.review import FILE, Review

WAITING_QUESTION = (
    "This pair waits for a person. Is it sound: does context A lead to this answer, is the answer hidden in it, "
    "and does context B lead elsewhere?"
)


def dataset_rows(folder: Path, most: int | None = None) -> Iterator[Row]:
    """Rows of an exported folder, the splits taking turns, so that a short report shows something of each.

    Where no more than `most` rows are asked for, they come from all over each split, not from its beginning: rows stand
    in the order in which methods and sources made them.
    """
    record = read_provenance(folder)
    files: dict[str, list[Path]] = {}
    for file in record["files"]:
        files.setdefault(file["split"], []).append(folder / file["id"])
    streams = {split: _pairs(paths) for split, paths in files.items()}
    if most is not None:
        pairs = {split: -(-sum(map(_rows_in, paths)) // 2) for split, paths in files.items()}
        taken = _turns(pairs, -(-most // 2))
        streams = {split: _spread(stream, pairs[split], taken[split]) for split, stream in streams.items()}
    yield from _taking_turns(list(streams.values()))


def _taking_turns(streams: list[Iterator[list[Row]]]) -> Iterator[Row]:
    while streams:
        alive = []
        for stream in streams:
            pair = next(stream, [])
            yield from pair
            if pair:
                alive.append(stream)
        streams = alive


def _turns(pairs: Mapping[str, int], most: int) -> dict[str, int]:
    """How many pairs of each split are shown when they take turns until there are so many."""
    taken = dict.fromkeys(pairs, 0)
    while sum(taken.values()) < most and (open_ := [split for split in pairs if taken[split] < pairs[split]]):
        for split in open_[: most - sum(taken.values())]:
            taken[split] += 1
    return taken


def _spread(pairs: Iterator[list[Row]], count: int, wanted: int) -> Iterator[list[Row]]:
    """So many of the pairs, at even distances."""
    for place, pair in enumerate(pairs):
        if (place + 1) * wanted // count > place * wanted // count:
            yield pair


def _pairs(paths: list[Path]) -> Iterator[list[Row]]:
    """Two rows at a time: both directions of a pair lie side by side."""
    stream = _stream(paths)
    while pair := list(islice(stream, 2)):
        yield pair


def _rows_in(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise _unreadable(path, error) from error


def _stream(paths: list[Path]) -> Iterator[Row]:
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=50):
                    yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
            raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"cannot read {path}: {error}", "the dataset folder is damaged: build it again")


def waiting_ids(build: BuildFolder) -> set[str]:
    """Ids of the pairs that this build's review stage listed for a person."""
    if Review.name not in dict(build.stages):
        return set()
    listed = build.stage_folder(Review.name).files / FILE
    try:
        return {json.loads(line)["id"] for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()}
    except FileNotFoundError:
        return set()  # the stage has not run yet, or nothing waits
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{listed} is damaged: {error}", "remove that stage's folder and build again") from error


def waiting_rows(build: BuildFolder, ids: set[str]) -> Iterator[Row]:
    """The pairs with these ids, as they came to the review stage."""
    stages = [name for name, _ in build.stages]
    if ids:
        judged = build.finished(stages[stages.index(Review.name) - 1])
        yield from (waiting_pair(row) for row in judged.rows if row["id"] in ids)


def waiting_pair(row: Row) -> Row:
    """A judged pair of runs in the columns of an exported pair; rows that have those already pass as they are."""
    if "first" not in row:
        return row
    first, second = row["first"], row["second"]
    _, _, place = row["group"].partition("::")
    file, _, symbol = place.partition("::")
    shown: Row = {
        "id": row["id"],
        "pair_id": row["id"],
        "split": "",
        "domain": "coding",
        "kind": row["kind"],
        "question": WAITING_QUESTION,
        "answer": first["patch"] or "",
        "answer_neg": second["patch"] or "",
        "correct_option": "A",
        "view": "full",
        "repo": first.get("repo"),
        "file": file,
        "symbol": symbol,
        "source": first.get("source"),
        "licence": first.get("licence"),
        "verdict": row["verdict"],
        "judge": row["judge"],
        "doubt": row["verdict_reason"],
        "checks": [_check(check, row) for check in row["checks"] or []],
        "measures": [
            {"name": name, "value": row[name]}
            for name in ("relatedness", "near_duplicate", "length_ratio")
            if name in row
        ],
    }
    for side, run in (("pos", first), ("neg", second)):
        shown[f"context_{side}"] = run["full"]
        shown[f"instance_{side}"] = run["instance_id"]
        shown[f"trajectory_{side}"] = run["id"]
        shown[f"problem_statement_{side}"] = run["problem_statement"]
        shown[f"model_{side}"], shown[f"resolved_{side}"] = run.get("model"), run.get("resolved")
    return shown


def _check(check: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """A test run that was executed, told in the words of the page: A is the first run, B the second."""
    first, second = row["first"]["instance_id"], row["second"]["instance_id"]
    names = {first: "A", second: "B"} if first != second else {}
    patch, tests = names.get(check["patch_of"], check["patch_of"]), names.get(check["tests_of"], check["tests_of"])
    return {"name": f"answer {patch} on the tests of {tests}", "passed": None, "detail": check["status"]}
