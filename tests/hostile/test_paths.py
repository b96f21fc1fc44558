"""Fields of rows that are used as names: of files, of containers, of rows. None reaches outside, none ends a build."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

pytest.importorskip("PIL")

from audit_sets import text_rows
from bad_pictures import encoded, picture
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Drop, Keep, Outcome
from contextrl_data.stages.audit.pairs import image_bytes
from contextrl_data.stages.audit.reading import open_dataset
from contextrl_data.stages.audit.run import AuditConfig
from contextrl_data.stages.card import PROVENANCE, read_provenance
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig
from contextrl_data.stages.coding.tasksets import TaskSetConfig, TaskSets
from contextrl_data.stages.images.image_sets import ImageSets, ImageSetsConfig
from contextrl_data.stages.inside import is_inside, read_inside

ROOT = Path(__file__).parents[2]
RUN = json.loads((ROOT / "data/samples/trajectories/mini_v1/samples__shapes-1.traj.json").read_text())
TASK = json.loads((ROOT / "data/samples/tasksets/swe_bench.jsonl").read_text().splitlines()[0])
NAMES = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "/",
    "a/../../b",
    "..\\..\\windows",
    "C:\\nul",
    "CON",
    "nul\0byte",
    "-rf",
    "--help",
    "~root",
    "$(touch owned)",
    "`touch owned`",
    "a;touch owned",
    "a\nb",
    "\x1b]0;owned\x07",
    "\u202egpj.exe",
    ".hidden",
    "%2e%2e%2f",
    "http://127.0.0.1:9/x",
    "file:///etc/passwd",
    "x" * 300,
    "x" * 5000,
    "x/" * 2500,
    "\ud800",
    "",
    " ",
]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder with a file that no row may reach; the set lies in `set` beside it."""
    (tmp_path / "set").mkdir()
    (tmp_path / "secret.png").write_bytes(encoded(picture(random.Random(1))))
    return tmp_path


WAYS_OUT = [
    "../secret.png",
    "{}/secret.png",
    "link.png",
    "folder/../../secret.png",
    "linked/secret.png",
    "./../secret.png",
]


@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_picture_outside_its_set_is_never_read(way: str, secret: Path) -> None:
    folder = secret / "set"
    (folder / "link.png").symlink_to(secret / "secret.png")
    (folder / "linked").symlink_to(secret, target_is_directory=True)
    (folder / "folder").mkdir()
    way = way.format(secret)
    with pytest.raises(ValueError, match=r"."):
        read_inside(folder, way)
    assert image_bytes(way, folder) == b""
    assert image_bytes({"bytes": None, "path": way}, folder) == b""
    row = {"question": "Q?", "answer": "a", "file_name": way}
    (folder / "metadata.jsonl").write_text(json.dumps(row))
    [(_, outcome)] = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": str(folder)}]})).items()
    assert outcome == Drop("image path leaves the folder")


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "zero", "folder"])
def test_what_never_ends_is_never_opened(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    assert image_bytes(name, tmp_path) == b""
    with pytest.raises((OSError, ValueError)):
        read_inside(tmp_path, name)


def test_a_file_of_ten_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(10 << 30)  # holes: nothing on the disk
    assert image_bytes("huge.png", tmp_path) == b""
    (tmp_path / "metadata.jsonl").write_text('{"question": "Q?", "answer": "a", "file_name": "huge.png"}')
    stage = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": str(tmp_path / "metadata.jsonl")}]}))
    assert [outcome for _, outcome in stage.items()] == [Drop("image file is too large")]


def test_a_small_picture_in_base64_is_no_long_file_name(tmp_path: Path) -> None:
    data = encoded(picture(random.Random(1), "1", (30, 30)).resize((30, 30)))
    text = base64.b64encode(data).decode()
    assert 255 < len(text) < 1024
    (tmp_path / "x.jsonl").write_text(json.dumps({"question": "Q?", "answer": "a", "image": text}))
    [(_, outcome)] = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": str(tmp_path / "x.jsonl")}]})).items()
    assert isinstance(outcome, Keep)
    assert outcome.rows[0]["image"]["bytes"] == data


@given(st.text(max_size=40) | st.sampled_from(NAMES))
def test_any_name_stays_inside(name: str) -> None:
    if is_inside(name):
        assert (Path("/data/set") / name).resolve().is_relative_to("/data/set")


def counted(found: list[tuple[str, Outcome]], rows: int) -> None:
    """Every row has one outcome, under an id that no other has and that is no longer than people can look at."""
    assert len(found) == rows
    assert len({row_id for row_id, _ in found}) == rows
    assert max(len(row_id) for row_id, _ in found) < 700
    for _, outcome in found:
        assert isinstance(outcome, Keep | Drop)


def test_ids_of_every_kind_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.parent.rglob("*"))
    names = [*NAMES, *NAMES]  # each twice
    runs, tasks, pictures = (tmp_path / f"{name}.jsonl" for name in ("runs", "tasks", "pictures"))
    runs.write_text("".join(json.dumps(RUN | {"instance_id": name, "traj_id": name}) + "\n" for name in names))
    counted(list(Trajectories(TrajectoriesConfig(path=str(runs))).items()), len(names))
    # A first row that is sound tells the columns.
    tasks.write_text("".join(json.dumps(TASK | {"instance_id": name}) + "\n" for name in ["first", *names]))
    counted(list(TaskSets(TaskSetConfig(path=str(tasks), image="x")).items()), len(names) + 1)
    data = base64.b64encode(encoded(picture(random.Random(1)))).decode()
    rows = [{"id": name, "question": "Q?", "answer": "a", "image": data, "licence": name} for name in names]
    pictures.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = ImageSetsConfig.model_validate({"read": [{"path": str(pictures), "name": "s"}]})
    counted(list(ImageSets(config).items()), len(names))
    assert sorted(set(tmp_path.parent.rglob("*")) - set(before)) == [pictures, runs, tasks], "nothing else was made"


def test_one_run_under_one_id_as_many_instances_is_told_apart(tmp_path: Path) -> None:
    rows = [RUN | {"instance_id": f"owner__repo-{n}", "traj_id": "same"} for n in range(5)]
    rows += [RUN | {"instance_id": "owner__repo-7", "traj_id": "x" * 5000}]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = list(Trajectories(TrajectoriesConfig(path=str(tmp_path / "runs.jsonl"))).items())
    counted(found, 6)
    kept = [outcome.rows[0]["id"] for _, outcome in found if isinstance(outcome, Keep)]
    assert len(set(kept)) == 6
    assert max(map(len, kept)) < 500


def test_an_id_that_is_another_rows_place_is_told_apart(tmp_path: Path) -> None:
    data = base64.b64encode(encoded(picture(random.Random(1)))).decode()
    rows: list[dict[str, Any]] = [
        {"id": "1"},
        {},
        {"id": "4-repeated"},
        {"id": "1"},
        {"id": "1"},
        {"id": "1-placed"},
        {"id": None},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"question": "Q?", "answer": "a", "image": data} | row) + "\n" for row in rows))
    stage = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": str(path), "name": "s"}]}))
    found = [row_id for row_id, _ in stage.items()]
    assert len(set(found)) == len(rows), found


@pytest.mark.parametrize("name", ["../secret.parquet", "/etc/passwd", "", "a/../../b", "x\0"])
def test_a_record_names_no_file_outside_its_dataset(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    (folder / PROVENANCE).write_bytes(orjson.dumps({"files": [{"id": name, "split": "train"}], "title": "x"}))
    shutil.copy(__file__, tmp_path / "secret.parquet")
    for read in (lambda: read_provenance(folder), lambda: open_dataset(str(folder), AuditConfig())):
        with pytest.raises(InputError, match="outside the dataset") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_pairs_whose_pictures_lie_elsewhere_have_none(tmp_path: Path) -> None:
    row = {**text_rows(1, 1)[0], "image_pos": "/etc/hostname", "image_neg": "../../../../etc/hostname"}
    assert image_bytes(row["image_pos"], tmp_path) == image_bytes(row["image_neg"], tmp_path) == b""
