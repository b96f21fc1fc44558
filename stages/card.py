"""The dataset card: README.md with the Hub's metadata, made from `provenance.json` alone.

It can be written again at any time: the build does so when the funnel is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import yaml

from contextrl_data.pipeline.build import FunnelRow
from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.store import write_atomic
from contextrl_data.stages.card_text import card_body
from contextrl_data.stages.inside import is_inside
from contextrl_data.stages.markdown import PLACE_OF_REPO, one_line

__all__ = ["CARD", "PLACE_OF_REPO", "PROVENANCE", "funnel_record", "read_provenance", "write_card"]

PROVENANCE = "provenance.json"
CARD = "README.md"

HUB_LICENCES = {
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
    "BSD-2-Clause": "bsd-2-clause",
    "BSD-3-Clause": "bsd-3-clause",
    "BSD-3-Clause-Clear": "bsd-3-clause-clear",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC0-1.0": "cc0-1.0",
    "GPL-2.0-only": "gpl-2.0",
    "GPL-3.0-only": "gpl-3.0",
    "GPL-3.0-or-later": "gpl-3.0",
    "ISC": "isc",
    "LGPL-3.0-only": "lgpl-3.0",
    "MPL-2.0": "mpl-2.0",
    "PSF-2.0": "other",
    "Unlicense": "unlicense",
}
"""SPDX ids and the Hub's own; anything else is `other` there."""

_SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]


def write_card(
    folder: Path, funnel: Sequence[FunnelRow] = (), config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write README.md into a dataset folder; a funnel or config given here is put on record first.

    Seconds and costs stay out, so that the same build gives the same card.

    Raises:
        InputError: the folder holds no dataset of ours.
    """
    record = read_provenance(folder)
    if funnel:
        record["funnel"] = [funnel_record(row) for row in funnel]
    if config is not None:
        record["config"] = dict(config)
    if funnel or config is not None:
        write_atomic(
            folder / PROVENANCE,
            orjson.dumps(record, option=orjson.OPT_INDENT_2, default=str),
        )
        record = read_provenance(folder)
    head = yaml.safe_dump(_metadata(folder, record), sort_keys=False, allow_unicode=True, width=1000)
    write_atomic(folder / CARD, f"---\n{head}---\n\n{card_body(record)}".encode())
    return record


def read_provenance(folder: Path) -> dict[str, Any]:
    """The record of how a dataset was made.

    Raises:
        InputError: the folder has none.
    """
    path = folder / PROVENANCE
    try:
        loaded: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(
            f"{folder} has no readable {PROVENANCE}", "name a dataset folder that contextrl-data exported"
        ) from error
    listed = loaded.get("files", []) if isinstance(loaded, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"{path} lists no files", "export the dataset again")
    for file in listed:
        if not isinstance(file, dict) or not is_inside(str(file.get("id", ""))):
            raise InputError(
                f"the record names a file outside the dataset: {str(file)[:120]!r}", "export the dataset again"
            )
    return loaded


def funnel_record(row: FunnelRow) -> dict[str, Any]:
    """A line of the funnel as JSON, without what differs from run to run."""
    return {
        "stage": row.stage,
        "rows_in": row.rows_in,
        "kept": row.kept,
        "dropped": dict(sorted(row.dropped.items(), key=lambda item: (-item[1], item[0]))),
        "failed": dict(sorted(row.failed.items())),
        "rows_out": row.rows_out,
        "steps": [list(step) for step in row.steps],
        "message": row.notes.get("message", ""),
        **({"parts": row.notes["parts"]} if "parts" in row.notes else {}),
    }


def _metadata(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """The YAML head, as the Hub and `load_dataset` read it."""
    licences = sorted({HUB_LICENCES.get(name, "other") for name in record["counts"]["licence"]})
    head: dict[str, Any] = {"pretty_name": one_line(record["title"]), "language": ["en"]}
    head["license"] = licences[0] if len(licences) == 1 else licences
    if "other" in licences:
        head["license_name"] = "see-licence-column"
    images = record.get("family") == "images"
    head["task_categories"] = ["visual-question-answering"] if images else ["text-generation"]
    about = ["images", "vision-language"] if images else ["coding-agents", "trajectories"]
    head["tags"] = ["contrastive", "reinforcement-learning", *about, "contextrl-data"]
    head["size_categories"] = [next((name for bound, name in _SIZES if record["rows"] < bound), "n>1T")]
    head["configs"] = [
        {
            "config_name": "default",
            "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in record["splits"]],
        },
        *_view_configs(record),
    ]
    head["dataset_info"] = {"features": _features(folder, record), **_sizes(record)}
    return head


def _view_configs(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A config for each view in parquet: `load_dataset(REPO, "trl")`. JSON lines cannot stand beside parquet there."""
    views = {name: view["files"] for name, view in record.get("views", {}).items()}
    return [
        {
            "config_name": name,
            "data_files": [{"split": file["split"], "path": f"views/{name}/{file['id']}"} for file in files],
        }
        for name, files in views.items()
        if all(file["id"].endswith(".parquet") for file in files)
    ]


def _features(folder: Path, record: Mapping[str, Any]) -> Any:
    from datasets import DatasetInfo, Features
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    schema = pq.read_schema(folder / record["files"][0]["id"])
    data = DatasetCardData()
    DatasetInfosDict({"default": DatasetInfo(features=Features.from_arrow_schema(schema))}).to_dataset_card_data(data)
    return yaml.safe_load(data.to_yaml())["dataset_info"]["features"]


def _sizes(record: Mapping[str, Any]) -> dict[str, Any]:
    splits = [
        {"name": split, "num_bytes": facts["nbytes"], "num_examples": facts["rows"]}
        for split, facts in record["splits"].items()
    ]
    return {
        "splits": splits,
        "download_size": sum(file["bytes"] for file in record["files"]),
        "dataset_size": sum(split["num_bytes"] for split in splits),
    }
