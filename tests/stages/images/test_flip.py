"""Whether the answer flips: a model on a local server that can see, one that cannot, and one that is stubborn."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PIL", reason="needs the extra [images]")
if importlib.util.find_spec("litellm") is None:
    pytest.skip("needs the extra [coding]", allow_module_level=True)

from chat_server import ChatServer
from embedding_server import vector_of
from image_rows import picture, question
from openai_server import Answer, say

from contextrl_data.pipeline.stage import Context, Drop, Keep, Row
from contextrl_data.stages.images.decode import decode_rgb
from contextrl_data.stages.images.encoders.http import data_uri
from contextrl_data.stages.images.flip import NEITHER, Flip, FlipConfig

FIRST, SECOND = picture(1), picture(2)


def candidate(second: bytes = SECOND, **more: Any) -> Row:
    choices = ["red", "blue", "green", "Blue."]
    return {
        "id": "pair",
        "method": "edited",
        "first": question(1, FIRST, "B", choices=choices),
        "second": question(2, second, "red", choices=choices),
        "box": None,
        "similarity": None,
        "scores": [{"name": "changed_area", "value": 0.1}],
        "checks": [],
        **more,
    }


def asked(request: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The picture, and the letter of each option."""
    picture_part, text = request["messages"][0]["content"]
    lines = [line for line in text["text"].split("\n") if line[1:3] == ". "]
    return picture_part["image_url"]["url"], {line[3:]: line[0] for line in lines}


def flip(reply: Callable[[str, dict[str, str]], str], folder: Path, row: Row, **config: Any) -> tuple[Any, list[Any]]:
    seen: list[dict[str, str]] = []

    def answer(request: dict[str, Any]) -> Answer:
        uri, letters = asked(request)
        seen.append(letters)
        return say(reply(uri, letters))

    with ChatServer(answer) as server:
        chat = {"model": "openai/eyes", "api_base": server.url, "cache_dir": folder, "malformed_attempts": 2}
        stage = Flip(FlipConfig.model_validate({"chat": chat, **config}))
        stage.open(Context(folder=folder))
        return stage.process(row), seen


def scores(outcome: Any) -> dict[str, float]:
    assert isinstance(outcome, Keep)
    return {score["name"]: score["value"] for score in outcome.rows[0]["scores"]}


def uri_of(data: bytes) -> str:
    return data_uri(decode_rgb(data), data, 1024)


def test_a_model_that_sees_finds_each_pictures_answer(tmp_path: Path) -> None:
    known = {uri_of(FIRST): "blue", uri_of(SECOND): "red"}
    outcome, seen = flip(lambda uri, letters: letters[known[uri]], tmp_path, candidate())
    assert scores(outcome) == {"changed_area": 0.1, "flip_first": 1.0, "flip_second": 1.0}
    assert len(seen) == 10
    assert len({tuple(letters) for letters in seen}) > 3, "the options change places"
    assert set(seen[0]) == {"blue", "red", "green", NEITHER}, "one answer stands once"
    assert vector_of(uri_of(FIRST)) != vector_of(uri_of(SECOND))


def test_an_edit_that_changes_nothing_for_the_model_does_not_flip(tmp_path: Path) -> None:
    outcome, _ = flip(lambda uri, letters: letters["blue"], tmp_path, candidate())
    assert (scores(outcome)["flip_first"], scores(outcome)["flip_second"]) == (1.0, 0.0)


def test_a_model_that_always_says_one_letter_is_no_witness(tmp_path: Path) -> None:
    outcome, _ = flip(lambda uri, letters: "The answer is A", tmp_path, candidate(), votes=20)
    found = scores(outcome)
    assert max(found["flip_first"], found["flip_second"]) < 0.7


def test_the_model_is_not_asked_twice(tmp_path: Path) -> None:
    rng = random.Random(0)
    first, _ = flip(lambda uri, letters: rng.choice(list(letters.values())), tmp_path, candidate())
    second, seen = flip(lambda uri, letters: "A", tmp_path, candidate())
    assert seen == []
    assert scores(first) == scores(second)


def test_a_picture_that_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    outcome, seen = flip(lambda uri, letters: "A", tmp_path, candidate(b"no picture"))
    assert outcome == Drop("image cannot be decoded")
    assert seen == []


def test_open_questions_have_both_answers_and_neither_as_options(tmp_path: Path) -> None:
    row = candidate()
    row["first"] |= {"answer": "2", "choices": []}
    row["second"] |= {"answer": "three", "choices": []}
    _, seen = flip(lambda uri, letters: letters["2"], tmp_path, row)
    assert set(seen[0]) == {"2", "three", NEITHER}
