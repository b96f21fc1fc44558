"""When two answers mean the same: numbers against words, units, case, lists, letters of choices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.images.answers import codes, meaning, resolve


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2", "two"),
        ("Two.", "2.0"),
        ("twenty-one", "21"),
        ("two hundred and five", "205"),
        ("1,000", "one thousand"),
        ("a dozen", "12"),
        ("1/2", "half"),
        ("2½", "2.5"),
        ("2 1/2", "2.5"),
        ("-3", "minus three"),
        ("3.14", "3.142"),
        ("none", "0"),
        ("5 cm", "5cm"),
        ("5 cm", "50 millimetres"),
        ("1.5 h", "90 minutes"),
        ("4 m²", "4 square meters"),
        ("4 m^2", "4 sq m"),
        ("50%", "50 percent"),
        ("$5", "5 dollars"),
        ("90°", "90 degrees"),
        ("3 dogs", "three dogs"),
        ("3 dogs", "3 Dog"),
        ("Yes", "yes."),
        ("true", "Yes"),
        ("Grey", "gray"),
        ("the red car", "Red car"),
        ("bus", "buses"),
        ("cherries", "cherry"),
        ("red and blue", "blue, red"),
        ("red & blue", "Red; the blue"),
        ("['a', 'b']", "b and a"),
        ("２", "2"),
        ("T-shirt", "t shirt"),
    ],
)
def test_the_same_in_other_words(one: str, other: str) -> None:
    left, right = meaning(one), meaning(other)
    assert left is not None
    assert right is not None
    assert left.key == right.key
    assert codes([one, other]) == [0, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2", "3"),
        ("2", "20"),
        ("1999", "2000"),
        ("5 cm", "5 m"),
        ("$5", "€5"),
        ("5 kg", "5 cm"),
        ("2 apples", "2 oranges"),
        ("yes", "no"),
        ("no", "none"),
        ("red and blue", "red"),
        ("left", "right"),
        ("12:30", "12:45"),
        ("2020-01-05", "2020-01-06"),
        ("1/2", "1/3"),
        ("glass", "grass"),
        ("-3", "3"),
        ("C", "D"),
        ("+", "-"),
    ],
)
def test_truly_different(one: str, other: str) -> None:
    assert meaning(one) != meaning(other)
    assert codes([one, other]) == [0, 1]


def test_a_bare_number_may_mean_any_of_its_units_and_what_equals_them() -> None:
    assert codes(["5", "5 cm", "50 mm", "5 kg", "6 cm", "five"]) == [0, 0, 0, 0, 1, 0]
    assert codes(["5 cm", "5 kg", "5 cm"]) == [0, 1, 0]


@pytest.mark.parametrize("nothing", ["", "  ", "unknown", "Unanswerable.", "N/A", "null", "nan"])
def test_an_answer_that_says_nothing_has_no_code(nothing: str) -> None:
    assert codes([nothing, "2"]) == [-1, 0]


def test_letters_stand_for_choices() -> None:
    choices = ["red", "blue", "A"]
    assert [resolve(answer, choices) for answer in ("A", "b", "(B)", "B.", "red", "D", None)] == [
        "A", "blue", "blue", "blue", "red", "D", "",
    ]  # fmt: skip
    assert resolve("B", None) == "B"


@given(st.lists(st.text(max_size=40), max_size=8))
def test_any_text_has_a_code_and_equal_texts_one(answers: list[str]) -> None:
    found = codes([*answers, *answers])
    assert found[: len(answers)] == found[len(answers) :]
    assert max(found, default=-1) < max(len(answers), 1)


@given(st.from_regex(r"[-+]?(\d{1,5}(\.\d{0,3})?|\d{1,3}/\d{1,3})( ?(cm|m|%|kg|°|dogs?))?(e\d{1,3})?", fullmatch=True))
def test_any_measure_is_itself_in_any_case(answer: str) -> None:
    assert meaning(answer) == meaning(f" {answer.upper()}. ")


@given(st.integers(0, 10**7))
def test_whole_numbers_stay_apart(number: int) -> None:
    assert meaning(str(number)) == meaning(f"{number:,}") == meaning(f"{number}.0")
    assert meaning(str(number)) != meaning(str(number + 1))


def test_what_would_take_forever_or_overflow_is_taken_as_it_is() -> None:
    for text in ("9" * 10_000, "1e999", "1/0", "2 1/0", "1e-999", "," * 299, "and " * 60, "١٢", "\ud800"):
        assert meaning(text) == meaning(text)
