"""Raw rows of any shape: read, or refused with a reason, never an exception."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.images.sources.columns import FOLDER, Found, Unusable, read_row
from contextrl_data.stages.images.sources.spec import ImageColumns, ImageSetSpec

SPEC = ImageSetSpec(path="x")
GOOD = {"id": "7", "question": "How many?", "answer": "2", "image": b"abc"}


def read(**changes: Any) -> Found | Unusable:
    return read_row({**GOOD, **changes}, SPEC)


@pytest.mark.parametrize(
    ("answer", "choices", "expected"),
    [
        ("two", None, "two"),
        (2, None, "2"),
        (2.0, None, "2"),
        (2.5, None, "2.5"),
        (True, None, "yes"),
        (["two"], None, "two"),
        (["a", "a", "b"], None, "a"),
        (1, ["red", "blue"], "blue"),
        ("B", ["red", "blue"], "blue"),
        ("(a)", ["red", "blue"], "red"),
        ("Blue", ["red", "blue"], "blue"),
        ("blue", '["red", "blue"]', "blue"),
    ],
)
def test_answers_of_every_form(answer: Any, choices: Any, expected: str) -> None:
    found = read(answer=answer, choices=choices)
    assert isinstance(found, Found)
    assert found.answer == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": None}, "no answer"),
        ({"answer": []}, "no answer"),
        ({"answer": " "}, "no answer"),
        ({"answer": float("nan")}, "no answer"),
        ({"answer": ["a", "b"]}, "answers disagree"),
        ({"answer": {"text": "a"}}, "answer is no text"),
        ({"answer": 4, "choices": ["a", "b"]}, "answer is no choice"),
        ({"answer": "c", "choices": ["a", "b"]}, "answer is no choice"),
        ({"choices": 3}, "choices are no list"),
        ({"choices": "not json"}, "choices are no list"),
        ({"question": None}, "no question"),
        ({"question": ["a"]}, "no question"),
        ({"image": None}, "no image"),
        ({"image": []}, "no image"),
        ({"image": [b"a", b"b"]}, "several images"),
        ({"image": 3}, "no image"),
        ({"image": "%%%"}, "image is no base64"),
        ({"image": {"bytes": None, "path": None}}, "no image"),
    ],
)
def test_what_cannot_be_used_has_its_reason(changes: dict[str, Any], reason: str) -> None:
    assert read(**changes) == Unusable(reason)


@pytest.mark.parametrize(
    "image",
    [
        b"abc",
        {"bytes": b"abc", "path": "a.png"},
        [b"abc"],
        base64.b64encode(b"abc").decode(),
        "data:image/png;base64," + base64.b64encode(b"abc").decode(),
    ],
)
def test_pictures_of_every_form(image: Any) -> None:
    found = read(image=image)
    assert isinstance(found, Found)
    assert found.data == b"abc"


def test_a_path_is_read_below_its_folder_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(b"abc")
    (tmp_path / "secret.png").write_bytes(b"xyz")
    found = read(image="a.png", **{FOLDER: tmp_path / "set"})
    assert isinstance(found, Found)
    assert (found.data, found.path) == (b"abc", "a.png")
    assert read(image="../secret.png", **{FOLDER: tmp_path / "set"}) == Unusable("image path leaves the folder")
    assert read(image="b.png", **{FOLDER: tmp_path / "set"}) == Unusable("image file is missing")


def test_nested_columns_are_reached_with_dots() -> None:
    spec = ImageSetSpec(
        path="x", columns=ImageColumns(question="qa.q", answer="qa.a", image="pictures.1", id="meta.id")
    )
    found = read_row({"qa": {"q": "Q?", "a": "A"}, "pictures": [b"no", b"yes"], "meta": {"id": 5}}, spec)
    assert isinstance(found, Found)
    assert (found.question, found.answer, found.data, found.own_id) == ("Q?", "A", b"yes", "5")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("ab\0%=:/.\u00e9 ", max_size=20)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["bytes", "path", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["id", "question", "answer", "choices", "image", "licence"]), VALUES))
@settings(max_examples=150, deadline=None)
def test_no_row_ever_raises(raw: dict[str, Any]) -> None:
    found = read_row(raw, SPEC)
    assert isinstance(found, Unusable) or (found.question and found.answer)
