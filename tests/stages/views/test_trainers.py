"""Views in the real loaders of verl and SkyRL; in EasyR1's and the authors' by the rules that their sources follow."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from loaders_apart import environment, needs
from PIL import Image
from torchvision_apart import APART as TORCHVISION
from torchvision_apart import needs_torchvision
from view_sets import image_pair_rows, text_rows

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.prompt import INSTRUCTION, choice_prompt, image_choice_prompt, option_images
from contextrl_data.stages.views import export_view

HERE = Path(__file__).parent
TESTS = HERE.parent.parent


def run(script: str, *words: str | Path, beside: Sequence[Path] = ()) -> Any:
    """A script of this folder in a process of its own: these libraries warn, and start what they do not stop."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, words)],
        env=environment([TESTS, *beside]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def train_rows(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["split"] == "train"]


def image_rows() -> list[Row]:
    return train_rows([row for number in range(10) for row in image_pair_rows(number)])


def pixels(image: Row) -> str:
    return hashlib.sha256(Image.open(io.BytesIO(image["bytes"])).convert("RGB").tobytes()).hexdigest()


@pytest.fixture(scope="module")
def verl(text_set: Path, image_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What verl makes of a text view and of an image view, in one process."""
    folder = tmp_path_factory.mktemp("verl")
    export_view(text_set, "verl", folder / "text")
    export_view(image_set, "verl", folder / "image", "both")
    needs_torchvision()
    files = [folder / kind / "train.parquet" for kind in ("text", "image")]
    return run("load_verl.py", *files, folder / "model", beside=[TORCHVISION])


@needs("verl", "transformers")
def test_verl_reads_text(verl: Any) -> None:
    found = verl["text"]
    wanted = train_rows(text_rows())
    assert [row["content"] for row in found["rows"]] == [choice_prompt(row) for row in wanted]
    assert [row["truth"] for row in found["rows"]] == [row["correct_option"] for row in wanted]
    assert [row["index"] for row in found["rows"]] == list(range(len(wanted)))
    assert all(row["score"] == [1.0, 0.0] for row in found["rows"])
    assert found["batch"] == ["contextrl-data/choice/coding"] * 2


@needs("verl", "transformers")
def test_verl_reads_images(verl: Any) -> None:
    found = verl["image"]["rows"]
    choices = [row for row in found if "choice" in row["source"]]
    questions = [row for row in found if "choice" not in row["source"]]
    assert len(choices) == len(questions) == len(image_rows())
    for row, pair in zip(choices, image_rows(), strict=True):
        assert row["content"] == ["<image>", "<image>", image_choice_prompt(pair)]
        assert row["pixels"] == [pixels(image) for image in option_images(pair)]
        assert row["truth"] == pair["correct_option"]
        assert row["grids"] == 2, "the processor finds a place in the prompt for each image"
    for row, pair in zip(questions, image_rows(), strict=True):
        assert row["pixels"] == [pixels(pair["image_pos"])]
        assert row["truth"] == pair["answer"]
    assert all(row["score"] == [1.0, 0.0] for row in found)


@needs("skyrl", "skyrl_gym", "transformers")
def test_skyrl_reads_and_judges(text_set: Path, tmp_path: Path) -> None:
    view = export_view(text_set, "skyrl", tmp_path / "view")
    found = run("load_skyrl.py", view.folder / "train.parquet")
    wanted = train_rows(text_rows())
    assert [row["content"] for row in found] == [choice_prompt(row) for row in wanted]
    assert [row["truth"] for row in found] == [row["correct_option"] for row in wanted]
    assert all(row["rewards"] == [1.0, 0.0] for row in found)


def easyr1_messages(row: Row) -> list[Row]:
    """How EasyR1 makes a message of `problem`: text between the marks, and an image for each mark."""
    if "images" not in row:
        return [{"type": "text", "text": row["problem"]}]
    parts: list[Row] = []
    for place, text in enumerate(row["problem"].split("<image>")):
        parts += [{"type": "image"}] if place else []
        parts += [{"type": "text", "text": text}] if text else []
    return parts


@pytest.mark.parametrize("name", ["easyr1", "contextrl"])
def test_easyr1_and_the_authors_fork_of_it_read_images(name: str, image_set: Path, tmp_path: Path) -> None:
    view = export_view(image_set, name, tmp_path / "view", "both")
    # The loader's own call, where the path names a file.
    rows = load_dataset("parquet", data_files=str(view.folder / "train.parquet"), split="train")
    choices = [row for row in rows if len(row["images"]) > 1 and row["answer"] in ("A", "B")]
    assert len(choices) == len(rows) / 2 == len(image_rows())
    for row, pair in zip(choices, image_rows(), strict=True):
        parts = easyr1_messages(row)
        assert [part["type"] for part in parts] == ["image", "image", "text"]
        opened = [Image.open(io.BytesIO(image["bytes"])) for image in row["images"]]  # as process_image does
        assert [image.convert("RGB").tobytes() for image in opened] == [
            Image.open(io.BytesIO(image["bytes"])).convert("RGB").tobytes() for image in option_images(pair)
        ]
        ending = "" if name == "easyr1" else f"\n{INSTRUCTION}"  # what the authors' trainer adds to a choice
        assert parts[-1]["text"] + ending == image_choice_prompt(pair)


def test_easyr1_reads_text(text_set: Path, tmp_path: Path) -> None:
    view = export_view(text_set, "easyr1", tmp_path / "view")
    rows = load_dataset("parquet", data_files=str(view.folder / "train.parquet"), split="train")
    wanted = train_rows(text_rows())
    assert [easyr1_messages(row) for row in rows] == [[{"type": "text", "text": choice_prompt(row)}] for row in wanted]


def test_the_authors_jsonl_is_one_whole_prompt_and_its_letter_a_line(text_set: Path, tmp_path: Path) -> None:
    view = export_view(text_set, "contextrl", tmp_path / "view")
    lines = [json.loads(line) for line in (view.folder / "train.jsonl").read_text().splitlines()]
    wanted = train_rows(text_rows())
    assert lines == [{"prompt": choice_prompt(row), "correct_answer": row["correct_option"]} for row in wanted]
    assert list(load_dataset("json", data_files=str(view.folder / "train.jsonl"), split="train")) == lines
