"""When two answers mean the same: numbers against words, units, case, lists, letters of choices."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.stages.images.answers import codes, differ, meaning, resolve


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
        ("(0,-1)", "( 0, −1 )"),
        ("P(0,-1)", "(0, -1)"),
        ("x = -1", "-1"),
        ("negative 3", "-3"),
        ("minus $5", "-$5"),
        ("2x − 1", "2x - 1"),
        ("10⁻³", "0.001"),
        ("2 × 10^3", "2000"),
        ("5-10", "5 – 10"),
        ("5 to 10 cm", "5 cm - 10 cm"),
        ("between 5 and 10", "from 5 to 10"),
        ("-5 to -1", "-5 - -1"),
        ("1 000 000", "1,000,000"),
        ("1'000", "1000"),
        ("1,00,000", "100,000"),
        ("1.000.000", "1000000"),
        ("$1 000", "$1,000"),
        ("2 million", "2,000,000"),
        ("$5m", "5 million dollars"),
        ("5k", "5000"),
        ("50 per cent", "50%"),
        ("36 km/h", "36 kph"),
        ("20 degrees Celsius", "20 °C"),
        ("about 40", "40"),
        ("~40 cm", "40 cm"),
        ("2π", "6.283"),
        ("√3/2", "0.866"),
        (r"$\frac{1}{2}$", "0.5"),
        (r"5\sqrt{2} \text{ cm}", "7.07 cm"),
        (r"30^\circ", "30 degrees"),
        ("3 o'clock", "3:00"),
        ("03:30 PM", "3:30 p.m."),
        ("a hundred", "100"),
        ("hundred and five", "105"),
        ("a million dollars", "$1,000,000"),
        ("half a million", "500000"),
        ("two and a half million", "2.5 million"),
        ("two thousand million", "2 billion"),
        ("2 hundred thousand", "200000"),
        ("5 millions", "5 million"),
        ("two dozen", "24"),
        ("half a dozen", "6"),
        ("two and three", "2 and 3"),
        ("1.5 mn", "1.5 million"),
        ("2 bn", "2bn"),
        ("hundreds", "hundred"),
        ("$5 million dollars", "$5 million"),
        ("$2 bn", "$2 billion"),
        ("5 lbs", "5 pounds"),
        ("5 lbs.", "5 lb"),
        ("5 kgs", "5000 g"),
        ("2 hrs", "120 mins"),
        ("100 F", "100°F"),
        ("100 F", "100 degrees Fahrenheit"),
        ("20 C", "20° C"),
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
        ("(0,-1)", "(0,1)"),
        ("(-2,3)", "(2,3)"),
        ("(1,2)", "(2,1)"),
        ("(1,1)", "(1,2)"),
        ("[0,-1]", "[0,1]"),
        ("-1, 2", "1, 2"),
        ("x = -1", "x = 1"),
        ("x=-1, y=2", "x=1, y=2"),
        ("y = 2x - 1", "y = 2x + 1"),
        ("-x", "x"),
        ("-√2", "√2"),
        ("-1/2", "1/2"),
        ("-2 1/2", "2 1/2"),
        ("-5 °C", "5 °C"),
        ("-5%", "5%"),
        ("-$5", "$5"),
        ("minus one", "one"),
        ("10⁻³", "10³"),
        ("B+", "B-"),
        ("B-", "B"),
        ("O negative", "O positive"),
        ("> 5", "< 5"),
        ("≤ 5", "≥ 5"),
        ("-5 to -1", "-5 to 1"),
        ("5-10", "5-12"),
        ("5-10", "10-5"),
        ("5-10 cm", "5-10 m"),
        ("5 to 10", "5"),
        ("1,000", "1,001"),
        ("1 000", "1 001"),
        ("1,000", "1"),
        ("2 million", "2 billion"),
        ("0.5%", "50%"),
        ("5 cm, 3 cm", "5 cm, 4 cm"),
        ("3:30 am", "3:30 pm"),
        ("3:30", "3:35"),
        ("2:3", "3:2"),
        ("2π", "2"),
        (r"\frac{1}{2}", r"\frac{1}{3}"),
        ("5 million", "5 billion"),
        ("$5 million", "$5 billion"),
        ("$5 million", "5 billion"),
        ("$5 million", "6 million"),
        ("$5 million", "€5 million"),
        ("$5 million", "5000"),
        ("$5", "5 million"),
        ("$5 million dogs", "$5 million"),
        ("€2 billion", "2 million"),
        ("5 million people", "5 thousand people"),
        ("a hundred", "a thousand"),
        ("a hundred", "200"),
        ("5 lbs", "6 lbs"),
        ("5 lbs", "5 kgs"),
        ("100 F", "100 C"),
        ("100 F", "100°C"),
        ("100 F", "90 F"),
        ("1.5 mn", "1.5 bn"),
        ("5 M", "5 B"),
        ("one and two", "three"),
    ],
)
def test_truly_different(one: str, other: str) -> None:
    assert differ(meaning(one), meaning(other))
    assert differ(meaning(other), meaning(one))
    assert codes([one, other]) == [0, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("50%", "0.5"),
        ("50%", "half"),
        ("50%", "50"),
        ("1,5", "1.5"),
        ("1,5", "5 and 1"),
        ("0,25 kg", "250 g"),
        ("x-1", "x 1"),
        ("covid-19", "covid 19"),
        ("jan-05", "jan 05"),
        ("[1, 2]", "(1, 2)"),
        ("1, 2", "(1, 2)"),
        ("2", "2 million"),
        ("15:30", "3:30 pm"),
        ("3:30", "3:30 pm"),
        ("5-10", "5-10 cm"),
        ("$5 million", "5 million"),
        ("$5 million", "5000000"),
        ("$5 million", "five million"),
        ("$5 million", "5"),
        ("$5m", "5,000,000"),
        ("€2 billion", "2 billion"),
        ("5 million people", "5 million"),
        ("5 million people", "5"),
        ("$5-10 million", "5-10 million"),
        ("$5 million, $3 million", "3 million and 5 million"),
        ("5 M", "5 million"),
        ("5 k", "5000"),
        ("300 K", "300K"),
        ("£5", "5 pounds"),
        ("5 lbs", "5 pounds"),
        ("50 c", "50 cents"),
        ("70°", "70 °F"),
        ("70 degrees", "70 C"),
        ("70-80°", "70-80 °F"),
    ],
)
def test_what_may_be_read_as_the_other_is_in_doubt_and_so_the_same(one: str, other: str) -> None:
    assert not differ(meaning(one), meaning(other))
    assert not differ(meaning(other), meaning(one))
    assert codes([one, other]) == codes([other, one]) == [0, 0]


def test_a_bare_number_may_mean_any_of_its_units_and_what_equals_them() -> None:
    assert codes(["5", "5 cm", "50 mm", "5 kg", "6 cm", "five"]) == [0, 0, 0, 0, 1, 0]
    assert codes(["5 cm", "5 kg", "5 cm"]) == [0, 1, 0]


def test_an_amount_without_its_currency_may_mean_any_and_others_stay_apart() -> None:
    assert codes(["$5 million", "€5 million", "$6 million"]) == [0, 1, 2]
    assert codes(["$5 million", "€5 million", "5000000", "5 billion"]) == [0, 0, 0, 1]
    assert codes(["70 °C", "70 °F"]) == [0, 1]


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


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=4), st.lists(st.integers(-99, 99), min_size=2, max_size=4))
def test_points_are_the_same_where_all_their_numbers_are(one: list[int], other: list[int]) -> None:
    left, right = (f"({', '.join(map(str, numbers))})" for numbers in (one, other))
    assert differ(meaning(left), meaning(right)) == (one != other)


@given(st.decimals(-(10**6), 10**6, places=1), st.sampled_from(["", " cm", "%", " dogs", " million", "°", " m", " k"]))
def test_a_sign_always_counts(number: Decimal, unit: str) -> None:
    assert differ(meaning(f"{number}{unit}"), meaning(f"{-number}{unit}")) == bool(number)
    assert differ(meaning(f"at {number}{unit}"), meaning(f"at {-number}{unit}")) == bool(number)


@given(st.text("0123456789-+.,;:()[]{}$%°π√^/\\ axkm~<>='", max_size=30), st.text("0123456789-+.,() x", max_size=12))
def test_anything_can_be_read_and_is_itself(one: str, other: str) -> None:
    assert not differ(meaning(one), meaning(one))
    assert differ(meaning(one), meaning(other)) == differ(meaning(other), meaning(one))
    if differ(meaning(one), meaning(other)):
        assert codes([one, other]) == [0, 1]


def test_what_would_take_forever_or_overflow_is_taken_as_it_is() -> None:
    for text in ("9" * 10_000, "1e999", "1/0", "2 1/0", "1e-999", "," * 299, "and " * 60, "١٢", "\ud800"):
        assert meaning(text) == meaning(text)
