"""`contextrl-data build images` from the first scene to the folder that `datasets` loads."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from rich.console import Console

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.stages.card import read_provenance
from contextrl_data.stages.images.build import build_image_pairs, plan_image_pairs, steps
from contextrl_data.stages.images.config import ImagesConfig

SMALL = ["scenes.images=22", "rerender.share=1.0", "mine=null", "select.target_pairs=40", "split.validation=0"]
SMALL += ["split.probe=4", "run.workers=1", "report_pairs=3"]

LOAD = """
import hashlib, json, sys
from datasets import Image, load_dataset
loaded = load_dataset(sys.argv[1], cache_dir=sys.argv[2])
train = loaded["train"]
raw = train.cast_column("image_pos", Image(decode=False))
print(json.dumps({
    "kinds": sorted({type(row["image_pos"]).__name__ for row in train} | {type(row["image_neg"]).__name__ for row in train}),
    "sizes": [list(row["image_pos"].size) for row in train],
    "hashes": [hashlib.sha256(row["image_pos"]["bytes"]).hexdigest() for row in raw],
    "ids": list(train["image_id_pos"]),
    "splits": {name: len(part) for name, part in loaded.items()},
}))
"""


def load(*settings: str) -> ImagesConfig:
    return configs.load(ImagesConfig, None, [*SMALL, *settings])


def build(root: Path, *settings: str) -> tuple[Path, str]:
    out = io.StringIO()
    assert build_image_pairs(load(f"run.root={root}", *settings), Console(file=out, width=120)) == 0, out.getvalue()
    [dataset] = root.glob("images-*/dataset")
    return dataset, out.getvalue()


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(dataset: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(dataset.glob("data/*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return build(tmp_path_factory.mktemp("runs"))


def test_datasets_gives_pictures_and_their_bytes_are_unchanged(built: tuple[Path, str], tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", LOAD, str(built[0]), str(tmp_path / "cache")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kinds"] == ["PngImageFile"]
    assert found["hashes"] == found["ids"]
    assert found["splits"] == {"train": 36, "probe": 4}


def test_every_domain_is_there_in_both_directions_and_nothing_crosses_the_splits(built: tuple[Path, str]) -> None:
    rows = rows_of(built[0])
    assert {row["domain"] for row in rows} == {"natural", "science", "chart", "math", "geometry"}
    pairs: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        pairs.setdefault(row["pair_id"], []).append(row)
    for both in pairs.values():
        assert [row["direction"] for row in both] == ["forward", "reverse"]
        assert both[0]["answer"] == both[1]["answer_neg"]
    for column in ("group", "image_id_pos", "image_id_neg"):
        parts = [{row[column] for row in rows if row["split"] == split} for split in ("train", "probe")]
        assert not parts[0] & parts[1]
    record = read_provenance(built[0])
    assert all(one["accuracy"] == 0.5 for one in record["baselines"])


def test_the_card_the_report_and_the_last_lines_say_what_it_is(built: tuple[Path, str]) -> None:
    card = (built[0] / "README.md").read_text()
    for words in ("dtype: image", "visual-question-answering", "drawn here from fact sheets", "no photograph", "mined"):
        assert words in card
    assert "trajector" not in card
    assert (built[0].parent / "report.html").stat().st_size > 20_000
    assert "dataset:" in built[1]


def test_the_same_config_gives_the_same_bytes_with_other_workers(built: tuple[Path, str], tmp_path: Path) -> None:
    again, _ = build(tmp_path, "run.workers=2", "run.shard_rows=7")
    assert digests(again) == digests(built[0])


def test_a_set_of_ones_own_joins_the_drawn_pictures(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "JPEG")
    pq.write_table(
        pa.Table.from_pylist([{"question": "What colour?", "answer": "red", "image": out.getvalue()}]),
        tmp_path / "x.parquet",
    )
    dataset, _ = build(tmp_path / "runs", f"sets.read=[{{path: {tmp_path}/x.parquet}}]")
    funnel = {line["stage"]: line for line in read_provenance(dataset)["funnel"]}
    assert funnel["image_sets"]["kept"] == 1
    assert funnel["rerender"]["rows_in"] == funnel["render"]["rows_out"] + 1
    assert funnel["rerender"]["dropped"]["not drawn here"] == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["scenes=null"], "no pictures"),
        (["rerender=null"], "no method makes pairs"),
        (["mine={max_second: 0.6}"], "without a second encoder"),
        (["scenes.only=[klock]"], "names klock"),
        (["sets.read=[{pth: x}]"], "did you mean path"),
    ],
)
def test_a_config_that_cannot_work_is_one_line(settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        steps(load(*settings))


def test_an_editor_adds_its_chain_of_stages() -> None:
    editor = "edit={editor: {kind: http, url: 'http://127.0.0.1:9/v1', model: m}}"
    names = [step.stage.name for step in steps(load(editor))]
    assert names[3:9] == ["propose", "edit", "measure", "similarity", "accept", "collect"]


@pytest.mark.parametrize("name", ["images", "smoke/images"])
def test_the_shipped_configs_load_and_have_a_pipeline(name: str) -> None:
    loaded = configs.load(ImagesConfig, configs.find(name), ["mine=null"])
    assert [step.stage.name for step in steps(loaded)][-1] == "export"


def test_the_plan_before_foretells_the_pictures_and_the_plan_after_reuses_them(tmp_path: Path) -> None:
    """Few pictures, by yields of many: a factor of 2 for every count."""
    loaded = load(f"run.root={tmp_path}")
    before = plan_image_pairs(loaded, Console(file=io.StringIO()))
    assert build_image_pairs(loaded, Console(file=io.StringIO())) == 0
    after = plan_image_pairs(loaded, Console(file=io.StringIO()))
    real = {one.stage: one.rows_out for one in after.stages}
    assert {one.state for one in after.stages} == {"reused"}
    for one in before.stages:
        assert real[one.stage] / 2 <= one.rows_out <= real[one.stage] * 2, one.stage
    assert (after.containers, after.calls, after.disk_bytes) == (0, 0, 0)


def test_mined_pairs_join_the_others(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    settings = ["scenes.images=80", "mine={}", "select.target_pairs=400", f"embed.cache_dir={tmp_path}/vectors"]
    dataset, _ = build(tmp_path / "runs", *settings)
    counts = read_provenance(dataset)["counts"]["method"]
    assert counts["mined"] > 0
    assert counts["rerendered"] > 0
    for row in rows_of(dataset):
        assert (row["similarity"] is not None) == (row["method"] == "mined")


def test_the_editors_way_runs_through_and_noise_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    pytest.importorskip("efficientnet_lite_pytorch")
    smoke = configs.load(ImagesConfig, configs.find("smoke/images"), [])
    assert smoke.edit is not None
    assert (smoke.edit.editor.kind, smoke.propose.kind) == ("untrained", "facts")
    settings = ["edit.editor.kind=untrained", "edit.attempts=1", "propose.kind=facts", "propose.share=0.1"]
    dataset, out = build(tmp_path / "runs", *settings, f"embed.cache_dir={tmp_path}/vectors")
    record = read_provenance(dataset)
    funnel = {line["stage"]: line for line in record["funnel"]}
    assert funnel["propose"]["kept"] == funnel["edit"]["kept"] == funnel["measure"]["kept"] > 0
    assert sum(funnel["accept"]["dropped"].values()) == funnel["accept"]["rows_in"] > 0
    assert set(record["counts"]["method"]) == {"rerendered"}
    assert "audit: passed" in out
    parts = funnel["select"]["parts"]
    assert sum(part["selected"] for part in parts) * 2 == record["rows"]
    assert {part["method"] for part in parts} == {"rerendered"}
