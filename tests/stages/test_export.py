"""The exported folder, loaded by the real `datasets` and `huggingface_hub`, without a network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import pair_rows
from huggingface_hub import DatasetCard

from contextrl_data.pipeline.build import FunnelRow
from contextrl_data.pipeline.errors import InputError, StoreError
from contextrl_data.pipeline.stage import Context, Row
from contextrl_data.stages.card import read_provenance, write_card
from contextrl_data.stages.export import ExportConfig, ExportPairs, write_dataset
from contextrl_data.stages.rows import PAIR


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


LOAD = """
import json, sys
from datasets import load_dataset
loaded = load_dataset(sys.argv[1], cache_dir=sys.argv[2])
print(json.dumps({split: list(part) for split, part in loaded.items()}))
"""


def corpus(count: int = 30) -> RowList:
    splits = ("train", "train", "train", "validation", "probe")
    return RowList({**row, "split": splits[n % 5]} for n in range(count) for row in pair_rows(n))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_load_dataset_gives_back_every_row_offline(tmp_path: Path) -> None:
    rows = corpus()
    stage = ExportPairs(ExportConfig(rows_per_file=25))
    stage.open(Context(folder=tmp_path))
    found = stage.gather(rows)
    folder = tmp_path / "files" / "dataset"
    files = list(found.rows)
    assert [file["id"] for file in files][:2] == [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    ]
    assert all(hashlib.sha256((folder / f["id"]).read_bytes()).hexdigest() == f["sha256"] for f in files)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(tmp_path / "cache")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert list(loaded) == ["train", "validation", "probe"]
    for split, part in loaded.items():
        assert part == [row for row in rows if row["split"] == split]


def test_the_card_is_what_the_hub_expects(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    write_dataset(folder, corpus(), PAIR, ExportConfig(title="My | pairs"))
    data = DatasetCard.load(folder / "README.md").data
    assert data.license == ["bsd-3-clause", "mit"]
    assert data.size_categories == ["n<1K"]
    assert data.configs[0]["data_files"][0] == {"split": "train", "path": "data/train-*.parquet"}
    assert [feature["name"] for feature in data.dataset_info["features"]] == PAIR.names
    assert sum(split["num_examples"] for split in data.dataset_info["splits"]) == 60
    text = (folder / "README.md").read_text()
    assert "60 of 60 rows show runs of the `scripted` agent" in text
    assert "judged by fixed rules" in text
    assert "load_dataset" in text
    assert "@article" in text


def test_the_card_takes_the_funnel_and_the_config_later(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    write_dataset(folder, corpus(), PAIR)
    funnel = [
        FunnelRow(
            stage="select",
            state="done",
            rows_in=90,
            kept=60,
            dropped={"target reached": 29},
            failed={"docker": 1},
            rows_out=60,
            steps=[("pairs", 90), ("selected", 60)],
            seconds=12.5,
            cost=0.0,
            notes={"message": "selected 60 of 90 pairs"},
        )
    ]
    write_card(folder, funnel, {"select": {"seed": 7, "note": "```"}})
    first = (folder / "README.md").read_bytes()
    text = first.decode()
    assert "| select | 90 | 60 | 60 | target reached (29); failed at docker (1) |" in text
    assert "pairs 90 -> selected 60" in text
    assert "seed: 7" in text
    assert "12.5" not in text
    assert read_provenance(folder)["funnel"][0]["kept"] == 60
    write_card(folder)
    assert (folder / "README.md").read_bytes() == first


def test_the_card_says_how_often_a_model_picks_the_right_context(tmp_path: Path) -> None:
    rows = corpus()
    write_dataset(tmp_path / "unasked", rows, PAIR)
    assert "Can a model pick C+?" not in (tmp_path / "unasked" / "README.md").read_text()
    for place, row in enumerate(rows):
        row["measures"] = [*row["measures"], {"name": "pass_rate", "value": (0.25, 1.0)[place % 2]}]
    write_dataset(tmp_path / "asked", rows, PAIR)
    found = read_provenance(tmp_path / "asked")["answerability"]
    assert (found["rows"], found["accuracy"]) == (60, 0.625)
    assert 0.4 < found["low"] < 0.625 < found["high"] < 0.8
    asked = {"samples": 8, "low": 0.0, "high": 1.0, "chat": {"model": "openai/reader"}}
    write_card(tmp_path / "asked", config={"difficulty": asked})
    text = (tmp_path / "asked" / "README.md").read_text()
    assert "`openai/reader` read both contexts and picked C+ in 0.625 of its choices" in text
    assert "60 pairs, 8 choices each" in text
    assert "before the filter" not in text
    write_card(tmp_path / "asked", config={"difficulty": asked | {"low": 0.25, "high": 0.63}})
    assert "within 0.25 and 0.63, so this is no measure" in (tmp_path / "asked" / "README.md").read_text()


def test_a_benchmark_and_a_tilted_baseline_are_named(tmp_path: Path) -> None:
    rows = corpus()
    for row in rows:
        row["source"] = "SWE-bench/SWE-bench_Verified"
        row["licence"] = ""
        row["blind_scores"] = [{"name": "longer", "value": 1.0}]
    write_dataset(tmp_path / "dataset", rows, PAIR)
    text = (tmp_path / "dataset" / "README.md").read_text()
    assert "Benchmark sources: SWE-bench/SWE-bench_Verified" in text
    assert "In the whole set these blind baselines are not at chance: longer." in text
    assert "60 rows have no known licence" in text
    assert DatasetCard.load(tmp_path / "dataset" / "README.md").data.license == "other"


def test_the_same_rows_give_the_same_bytes_and_replace_an_older_folder(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    write_dataset(folder, corpus(), PAIR)
    first = digests(folder)
    write_dataset(folder, corpus(10), PAIR)
    assert digests(folder) != first
    write_dataset(folder, corpus(), PAIR)
    assert digests(folder) == first
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pair is left"):
        write_dataset(tmp_path / "dataset", RowList(), PAIR)
    with pytest.raises(InputError, match="no split"):
        write_dataset(tmp_path / "dataset", RowList(pair_rows(1)), PAIR)
    twice = RowList([*corpus(2), *corpus(2)])
    with pytest.raises(StoreError, match="same id"):
        write_dataset(tmp_path / "dataset", twice, PAIR)
    assert not (tmp_path / "dataset").exists()


def test_a_folder_that_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"provenance\.json"):
        write_card(tmp_path)
