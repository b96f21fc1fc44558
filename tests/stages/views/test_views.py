"""Every view: right prompts, right answers, identical images, all rows, the same bytes each time."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from datasets import Image, load_dataset
from hypothesis import given
from hypothesis import strategies as st
from view_sets import image_pair_rows, text_rows, write_image_set, write_text_set

from contextrl_data.stages.export import write_dataset
from contextrl_data.stages.prompt import INSTRUCTION, choice_prompt
from contextrl_data.stages.rows import PAIR
from contextrl_data.stages.views import export_view
from contextrl_data.stages.views.command import VIEWS
from contextrl_data.stages.views.names import VIEW_NAMES
from contextrl_data.stages.views.task import tasks_of

IMAGE_VIEWS = [name for name, view in VIEWS.items() if view.image is not None]


def load(folder: Path, name: str, split: str = "train", images: bool = False) -> list[dict[str, Any]]:
    """Rows of a view, read by `datasets` without decoding pictures."""
    file = folder / VIEWS[name].file(split, images)
    kind = "json" if file.suffix == ".jsonl" else "parquet"
    rows = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(folder / "cache"))
    if images and VIEWS[name].decode:
        rows = rows.cast_column("images", [Image(decode=False)])
    return list(rows)


def prompt_of(row: dict[str, Any]) -> str:
    """The whole text of a row in any view."""
    prompt = row.get("prompt", row.get("problem"))
    if isinstance(prompt, str):
        return prompt
    assert [set(message) for message in prompt] == [{"role", "content"}]
    assert prompt[0]["role"] == "user"
    return str(prompt[0]["content"])


def answer_of(row: dict[str, Any]) -> str:
    """The checkable answer of a row in any view."""
    for name in ("reward_model", "reward_spec"):
        if name in row:
            return str(row[name]["ground_truth"])
    return str(row["correct_answer"] if "correct_answer" in row else row["answer"])


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_names_that_a_config_may_hold_are_the_views() -> None:
    assert set(VIEWS) == set(VIEW_NAMES)


@pytest.mark.parametrize("name", VIEWS)
def test_text_pairs_keep_prompt_order_and_answer_in_every_split(name: str, text_set: Path, tmp_path: Path) -> None:
    done = export_view(text_set, name, tmp_path / "out")
    assert [file["split"] for file in done.files] == ["train", "validation", "probe"]
    for file in done.files:
        rows = load(done.folder, name, file["split"])
        wanted = [row for row in text_rows() if row["split"] == file["split"]]
        assert len(rows) == file["rows"] == len(wanted)
        assert [prompt_of(row) for row in rows] == [choice_prompt(row) for row in wanted]
        assert [answer_of(row) for row in rows] == [row["correct_option"] for row in wanted]
    assert {answer_of(row) for row in load(done.folder, name)} == {"A", "B"}


@pytest.mark.parametrize("name", IMAGE_VIEWS)
def test_image_bytes_are_identical_and_stand_in_the_order_of_the_options(
    name: str, image_set: Path, tmp_path: Path
) -> None:
    done = export_view(image_set, name, tmp_path / "out")
    rows = load(done.folder, name, images=True)
    wanted = [row for number in range(10) for row in image_pair_rows(number) if row["split"] == "train"]
    assert len(rows) == len(wanted)
    for row, pair in zip(rows, wanted, strict=True):
        assert [image["bytes"] for image in row["images"]] == [
            pair[f"image_{side}"]["bytes"] for side in (("pos", "neg") if pair["correct_first"] else ("neg", "pos"))
        ]
        assert answer_of(row) == pair["correct_option"]
        text = prompt_of(row)
        assert pair["question"] in text
        assert f"<answer>\n{pair['answer']}\n</answer>" in text
        assert all(f"- {choice}" in text for choice in pair["choices"])
        assert text.count("<image>") == (0 if name == "trl" else 2)
        assert text.endswith(INSTRUCTION) is (name != "contextrl"), "the authors' trainer adds the line itself"


@pytest.mark.parametrize("name", IMAGE_VIEWS)
def test_both_tasks_stand_in_one_file(name: str, image_set: Path, tmp_path: Path) -> None:
    done = export_view(image_set, name, tmp_path / "out", "both")
    rows = load(done.folder, name, images=True)
    choices = [row for row in rows if len(row["images"]) == 2]
    questions = [row for row in rows if len(row["images"]) == 1]
    assert len(choices) == len(questions) == 12
    pair = image_pair_rows(0)[0]
    assert questions[0]["images"][0]["bytes"] == pair["image_pos"]["bytes"]
    assert answer_of(questions[0]) == pair["answer"]
    assert prompt_of(questions[0]).endswith(pair["question"])
    only = export_view(image_set, name, tmp_path / "qa", "qa")
    assert [answer_of(row) for row in load(only.folder, name, images=True)] == [answer_of(row) for row in questions]


def test_a_question_that_stands_in_several_pairs_is_asked_once(tmp_path: Path) -> None:
    rows = [row for name in ("a", "b") for row in image_pair_rows(0, pair_id=name)]
    for place, row in enumerate(rows):
        row["id"] = f"row-{place}"
    done = export_view(write_image_set(tmp_path / "set", rows), "easyr1", tmp_path / "out", "both")
    kinds = [len(row["images"]) for row in load(done.folder, "easyr1", images=True)]
    assert kinds.count(2) == 4
    assert kinds.count(1) == 2


@pytest.mark.parametrize("name", IMAGE_VIEWS)
def test_an_image_mark_in_a_question_is_no_image(name: str, tmp_path: Path) -> None:
    rows = image_pair_rows(0, question="<image>\nWhat follows <video>?", answer="an <image> tag")
    done = export_view(write_image_set(tmp_path / "set", rows), name, tmp_path / "out", "both")
    for row in load(done.folder, name, images=True):
        text = prompt_of(row)
        assert text.count("<image>") == (0 if name == "trl" else len(row["images"]))
        assert "<video>" not in text
        assert "[image]\nWhat follows [video]?" in text


@given(
    st.text(),
    st.lists(st.sampled_from(["<", ">", "image", "video", "audio", " ", "<image>"]), max_size=12).map("".join),
)
def test_no_question_adds_an_image(question: str, answer: str) -> None:
    row = image_pair_rows(0, question=question + answer, answer=answer, choices=[answer, question])[0]
    for task in tasks_of(row, "train", "both"):
        assert task.marked.count("<image>") == len(task.images)
        assert not re.search("<(video|audio)>", task.marked)
        assert task.marked.endswith(task.instruction)


def test_a_text_pair_keeps_its_marks(tmp_path: Path) -> None:
    rows = text_rows(5)
    rows[0]["context_pos"] = [{"role": "user", "content": "docs say <image> and <video>"}]
    write_dataset(tmp_path / "set", rows, PAIR)
    done = export_view(tmp_path / "set", "verl", tmp_path / "out")
    assert "docs say <image> and <video>" in prompt_of(load(done.folder, "verl")[0])


def test_verl_rows_say_where_they_come_from(text_set: Path, tmp_path: Path) -> None:
    done = export_view(text_set, "verl", tmp_path / "out")
    rows = load(done.folder, "verl", "validation")
    first = next(row for row in text_rows() if row["split"] == "validation")
    assert rows[0]["data_source"] == "contextrl-data/choice/coding"
    assert rows[0]["ability"] == "context_selection"
    assert rows[0]["reward_model"] == {"style": "rule", "ground_truth": first["correct_option"]}
    assert rows[0]["extra_info"] == {
        "split": "validation",
        "index": 0,
        "id": f"{first['id']}-choice",
        "pair_id": first["pair_id"],
        "kind": "choice",
        "domain": "coding",
    }
    assert [row["extra_info"]["index"] for row in rows] == list(range(len(rows)))


def test_the_authors_layouts_have_their_columns_and_no_more(text_set: Path, image_set: Path, tmp_path: Path) -> None:
    text = export_view(text_set, "contextrl", tmp_path / "text")
    assert set(load(text.folder, "contextrl")[0]) == {"prompt", "correct_answer"}
    image = export_view(image_set, "contextrl", tmp_path / "image", "both")
    for row in load(image.folder, "contextrl", images=True):
        assert set(row) == {"images", "problem", "answer"}
        choice = len(row["images"]) > 1 and row["answer"] in ("A", "B")
        assert choice or len(row["images"]) == 1, "their rule: two images and a letter make a contrastive row"
        assert row["problem"].count("<image>") == len(row["images"])


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_dataset_gives_the_same_bytes(name: str, text_set: Path, tmp_path: Path) -> None:
    export_view(text_set, name, tmp_path / "one")
    export_view(text_set, name, tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    write_text_set(tmp_path / "more", 15)
    export_view(tmp_path / "more", name, tmp_path / "two", overwrite=True)
    assert digests(tmp_path / "one") != digests(tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["more", "one", "two"], "nothing is left beside them"


def test_hf_is_the_dataset_itself(text_set: Path, tmp_path: Path) -> None:
    export_view(text_set, "hf", tmp_path / "out")
    copied = digests(tmp_path / "out")
    assert copied.pop("view.json")
    assert copied == digests(text_set)
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train", "validation", "probe"]
    assert list(loaded["probe"]) == [row for row in text_rows() if row["split"] == "probe"]
