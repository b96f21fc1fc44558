"""Mistakes of a person who exports: each is one line with the value and the remedy, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner
from view_sets import image_pair_rows, write_image_set, write_text_set

from contextrl_data.pipeline.cli import app
from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.stages.views import export_view


def test_the_command_says_what_it_wrote(text_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["export", str(text_set), "--as", "verl", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert f"train: 12 rows in {out / 'train.parquet'}" in done.output
    record = json.loads((out / "view.json").read_text())
    assert (record["view"], record["tasks"], record["pairs"]) == ("verl", "choice", "text")
    assert [file["rows"] for file in record["files"]] == [12, 4, 4]


def test_a_build_folder_stands_for_its_dataset(tmp_path: Path) -> None:
    write_text_set(tmp_path / "coding-0123" / "dataset")
    done = export_view(tmp_path / "coding-0123", "trl", tmp_path / "out")
    assert sum(file["rows"] for file in done.files) == 20


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ver", "no view 'ver' — did you mean verl? known: hf, trl, verl, easyr1, contextrl, skyrl"),
        ("axolotl", "no view 'axolotl' — known: hf, trl, verl, easyr1, contextrl, skyrl"),
    ],
)
def test_an_unknown_view_is_told_the_known_ones(name: str, told: str, text_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        export_view(text_set, name, tmp_path / "out")
    assert str(caught.value) == told
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_dataset(tmp_path: Path, text_set: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, told in [(tmp_path / "none", "there is no folder"), (empty, "holds no dataset")]:
        with pytest.raises(InputError, match=f"{told}.*") as caught:
            export_view(folder, "trl", tmp_path / "out")
        assert "give a dataset folder that contextrl-data exported" in caught.value.remedy
    (empty / "data").mkdir()
    file = empty / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"id": ["1"], "question": ["?"]}), file)
    with pytest.raises(InputError, match="has no column answer: it holds no pairs"):
        export_view(empty, "trl", tmp_path / "out")
    file.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="is no parquet file"):
        export_view(empty, "trl", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_two_kinds_of_pairs_in_one_folder(tmp_path: Path) -> None:
    write_text_set(tmp_path / "set")
    other = write_image_set(tmp_path / "other") / "data" / "train-00000-of-00001.parquet"
    other.rename(tmp_path / "set" / "data" / "more-00000-of-00001.parquet")
    with pytest.raises(InputError, match="mixes text pairs and image pairs"):
        export_view(tmp_path / "set", "trl", tmp_path / "out")


def test_damaged_and_empty_files_leave_nothing_behind(tmp_path: Path) -> None:
    file = write_text_set(tmp_path / "set") / "data" / "train-00000-of-00001.parquet"
    whole = file.read_bytes()
    half = len(whole) // 2
    file.write_bytes(whole[:4] + bytes(half) + whole[4 + half :])
    with pytest.raises(InputError, match=r"cannot read .*train-00000-of-00001\.parquet"):
        export_view(tmp_path / "set", "verl", tmp_path / "out")
    pq.write_table(pq.read_table(write_text_set(tmp_path / "other") / "data" / file.name).slice(0, 0), file)
    with pytest.raises(InputError, match=r"split 'train' of .* is empty"):
        export_view(tmp_path / "set", "verl", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "set"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"correct_first": None}, "row 'image-00000-forward' has no correct_first"),
        ({"image_neg": {"bytes": None, "path": "a.png"}}, "row 'image-00000-forward' has no image_neg"),
        ({"image_pos": None}, "row 'image-00000-forward' has no image_pos"),
    ],
)
def test_a_row_with_a_hole_is_named(tmp_path: Path, change: dict[str, object], told: str) -> None:
    write_image_set(tmp_path / "set", image_pair_rows(0, **change))
    with pytest.raises(InputError, match=told):
        export_view(tmp_path / "set", "verl", tmp_path / "out")


def test_pairs_and_tasks_that_do_not_fit(text_set: Path, image_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"SkyRL's PromptDataset reads no images.* — take another view"):
        export_view(image_set, "skyrl", tmp_path / "out")
    for tasks in ("qa", "both"):
        with pytest.raises(InputError, match=f"there are no {tasks} tasks in text pairs"):
            export_view(text_set, "trl", tmp_path / "out", tasks)
    with pytest.raises(InputError, match="the view hf is the dataset itself"):
        export_view(image_set, "hf", tmp_path / "out", "both")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_replaced_only_when_told_and_only_a_view(text_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_view(text_set, "trl", out)
    with pytest.raises(InputError, match=r"out exists — .*--overwrite"):
        export_view(text_set, "verl", out)
    assert (out / "data").is_dir()
    export_view(text_set, "verl", out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == [
        "probe.parquet", "train.parquet", "validation.parquet", "view.json",
    ]  # fmt: skip
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    link = tmp_path / "link"
    link.symlink_to(out)
    for folder in (precious, precious / "thesis.txt", link):
        with pytest.raises(InputError, match="is no view that was exported before"):
            export_view(text_set, "verl", folder, overwrite=True)
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_the_dataset_is_never_overwritten(tmp_path: Path) -> None:
    folder = write_text_set(tmp_path / "sets" / "dataset")
    for out in (folder, folder.parent, folder / "data", folder / "views"):
        for name in ("hf", "trl"):
            with pytest.raises(InputError, match="and the dataset lie in one another"):
                export_view(folder, name, out, overwrite=True)
    assert (folder / "data" / "train-00000-of-00001.parquet").is_file()


def test_a_place_that_cannot_be_written(text_set: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"cannot write .* — free space or permissions"):
        export_view(text_set, "trl", tmp_path / "file" / "out")


def test_mistakes_on_the_command_line_exit_2(tmp_path: Path, text_set: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["export", str(text_set), "--as", "trl"]).exit_code == 2
    wrong = runner.invoke(app, ["export", str(text_set), "--as", "trl", "--out", "x", "--tasks", "riddles"])
    assert wrong.exit_code == 2
