"""When two answers mean the same. Mining needs answers that truly differ, so doubt counts as sameness."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

_UNITS_OF_TEN = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_NUMBERS: dict[str, int | Fraction] = {
    **{word: number for number, word in enumerate(_SMALL)},
    **{word: 10 * number for number, word in enumerate(_UNITS_OF_TEN, 2)},
    "none": 0,
    "once": 1,
    "single": 1,
    "twice": 2,
    "pair": 2,
    "couple": 2,
    "half": Fraction(1, 2),
    "dozen": 12,
}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_ARTICLES = {"a", "an", "the"}
_SAME_WORDS = {
    "true": "yes", "y": "yes", "yeah": "yes", "yep": "yes", "correct": "yes",
    "false": "no", "n": "no", "nope": "no", "incorrect": "no",
    "grey": "gray", "colour": "color", "centre": "center", "metre": "meter", "tyre": "tire", "aeroplane": "airplane",
}  # fmt: skip
_NOTHING = {"", "unknown", "unanswerable", "unsuitable", "unsuitable image", "n/a", "na", "nan", "not sure", "null"}

_PI = Fraction(31415926535897932, 10**16)
_UNITS: dict[str, tuple[str, Fraction]] = {}
for _kind, _sizes in {
    "length": {
        "mm|millimeter|millimetre": "0.001", "cm|centimeter|centimetre": "0.01", "m|meter|metre": "1",
        "km|kilometer|kilometre": "1000", "in|inch|inche|\"": "0.0254", "ft|foot|feet": "0.3048", "yd|yard": "0.9144",
        "mi|mile": "1609.344",
    },
    "area": {"mm2": "0.000001", "cm2": "0.0001", "m2": "1", "km2": "1000000"},
    "volume": {"ml|milliliter|millilitre|cm3": "0.001", "l|liter|litre": "1", "m3": "1000"},
    "mass": {"mg|milligram": "0.001", "g|gram": "1", "kg|kilogram|kilo": "1000", "t|ton|tonne": "1000000",
             "lb|pound": "453.59237", "oz|ounce": "28.349523125"},
    "time": {"ms|millisecond": "0.001", "s|sec|second": "1", "min|minute": "60", "h|hr|hour": "3600", "day": "86400"},
    "angle": {"°|deg|degree": "1", "rad|radian": str(180 / _PI)},
    "share": {"%|percent|percentage|pct": "1"},
    "money": {"$|dollar|usd": "1", "cent|¢": "0.01"},
    "money:eur": {"€|euro|eur": "1"},
    "money:gbp": {"£|gbp": "1"},
    "temperature:c": {"°c|celsius": "1"},
    "temperature:f": {"°f|fahrenheit": "1"},
}.items():  # fmt: skip
    for _names, _size in _sizes.items():
        for _name in _names.split("|"):
            _UNITS[_name] = (_kind, Fraction(_size))

_MARKED = str.maketrans({"²": "2", "³": "3", "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "×": "x", "−": "-", "–": "-"})
_NUMBER = re.compile(r"^([-+]?)(?:(\d+)\s+(\d+)/(\d+)|(\d+)/(\d+)|(\d+(?:\.\d*)?|\.\d+)(?:e([-+]?\d{1,3}))?)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SPLIT = re.compile(r"\s*(?:,|;|\band\b|&|/(?!\d))\s*")
_EDGES = " \t\n\r.,;:!?'\"`()[]{}*_"
_LETTER = re.compile(r"^\(?([A-Za-z])\)?[.):]?$")
LONGEST = 300
"""A longer answer, in characters, is compared as it is."""
DIGITS = 3
"""Significant digits at which two numbers count as one: 3.14 is 3.142."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """An answer, folded. Two answers are the same where `key` is, once units are set aside where one side has none."""

    key: str
    bare: str
    """The key without its unit; equal to `key` where there is none."""


def resolve(answer: str | None, choices: Sequence[str] | None) -> str:
    """The answer's own words: the choice that a letter names, else the answer.

    >>> resolve("(B)", ["red", "blue"]), resolve("B", []), resolve(None, [])
    ('blue', 'B', '')
    """
    text = (answer or "").strip()
    named = _LETTER.match(text)
    if not choices or named is None or text in choices:
        return text
    place = ord(named.group(1).upper()) - ord("A")
    return choices[place] if place < len(choices) else text


def meaning(answer: str) -> Meaning | None:
    """The folded answer; None where it says nothing (empty, unknown, ...).

    >>> meaning("Two") == meaning("2.0") and meaning("50 mm").key == meaning("5cm").key
    True
    >>> meaning("red and blue") == meaning("Blue, red."), meaning("unanswerable")
    (True, None)
    """
    text = unicodedata.normalize("NFKC", answer.translate(_MARKED)).casefold()
    text = _THOUSANDS.sub("", " ".join(text.split())).strip(_EDGES)
    if text in _NOTHING:
        return None
    if len(text) > LONGEST:
        return Meaning(text, text)
    single = _measure(text)
    if single is not None:
        return single
    parts = [part.strip(_EDGES) for part in _SPLIT.split(text)]
    items = sorted({(found.key, found.bare) for part in parts if part and (found := _measure(part) or _words(part))})
    if not items:
        return Meaning(text, text)
    return Meaning("\n".join(key for key, _ in items), "\n".join(sorted({bare for _, bare in items})))


def codes(answers: Iterable[str]) -> list[int]:
    """One integer an answer; equal integers mean the same answer, -1 none. All answers must be to one question.

    Where "5" is an answer, "5 cm" and "5 kg" may both be meant by it, and all three count as one.
    """
    found = [meaning(answer) for answer in answers]
    numbers = {one.bare for one in found if one is not None and one.key == one.bare}
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            key = above
        return key

    for one in found:
        if one is not None and one.bare in numbers:
            parent[root(one.key)] = root(one.bare)
    known: dict[str, int] = {}
    return [-1 if one is None else known.setdefault(root(one.key), len(known)) for one in found]


def differ(one: Meaning | None, other: Meaning | None) -> bool:
    """Whether two answers are surely different: neither says nothing, and no unit left out could make them one."""
    if one is None or other is None or one.key == other.key:
        return False
    bare = one.key == one.bare or other.key == other.bare
    return not (bare and one.bare == other.bare)


def _measure(text: str) -> Meaning | None:
    """A number with or without its unit; None where the text is something else."""
    found = _number(text)
    if found is None:
        return None
    value, rest = found
    unit = rest.strip(_EDGES).replace("^", "").replace("square ", "").replace("sq ", "") if rest else ""
    squared = "2" if rest and ("square " in rest or "sq " in rest) else ""
    if not unit:
        return Meaning(f"#{_rounded(value)}", f"#{_rounded(value)}")
    known = _UNITS.get(unit + squared) or _UNITS.get(_singular(unit) + squared)
    if known is None and " " not in unit and squared:
        known = _UNITS.get({"meter": "m", "centimeter": "cm", "kilometer": "km"}.get(_singular(unit), unit) + squared)
    if known is None:  # "3 dogs": the count is what the question asked for, and the noun what it named
        return Meaning(f"#{_rounded(value)} {_fold_words(unit)}", f"#{_rounded(value)}")
    kind, size = known
    return Meaning(f"#{_rounded(value * size)} {kind}", f"#{_rounded(value)}")


def _number(text: str) -> tuple[Fraction, str] | None:
    """A leading number, in digits or in words, and what follows it."""
    sign = -1 if text.startswith(("-", "minus ")) else 1
    for mark in ("$", "€", "£"):
        if text.removeprefix("-").startswith(mark):
            inner = _number(text.removeprefix("-").removeprefix(mark).strip())
            return (sign * inner[0], mark) if inner and not inner[1] else None
    if found := _NUMBER.match(text):
        whole = found.groups()
        if whole[1]:
            if not int(whole[3]):
                return None
            value = int(whole[1]) + Fraction(int(whole[2]), int(whole[3]))
        elif whole[4]:
            if not int(whole[5]):
                return None
            value = Fraction(int(whole[4]), int(whole[5]))
        else:
            value = Fraction(whole[6]) * Fraction(10) ** int(whole[7] or 0)
        rest = text[found.end() :]
        if rest[:1] and (rest[0] in ":/.-" or rest[0].isdigit()):
            return None  # a time, a date, a range, a version
        return (-value if whole[0] == "-" else value), rest.strip()
    return _spelt(text.removeprefix("minus ").replace("-", " ").split(), sign)


def _spelt(words: list[str], sign: int) -> tuple[Fraction, str] | None:
    """ "two hundred and five metres" -> (205, "metres")."""
    total = current = Fraction(0)
    taken = 0
    for place, word in enumerate(words):
        if word in _NUMBERS:
            current += Fraction(_NUMBERS[word])
        elif word in _SCALES and taken:
            current *= _SCALES[word]
            if _SCALES[word] > 100:
                total, current = total + current, Fraction(0)
        elif word not in ("and", "a") or not place + 1 < len(words) or words[place + 1] not in _NUMBERS:
            break
        taken = place + 1
    if not taken or (taken == 1 and words[0] == "a"):
        return None
    return sign * (total + current), " ".join(words[taken:])


def _rounded(value: Fraction) -> str:
    """Three significant digits, except that whole numbers keep all of theirs: 1999 is not 2000."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.{DIGITS}g}" if abs(value) < 10**DIGITS else str(round(value))


def _words(text: str) -> Meaning:
    folded = _fold_words(text)
    return Meaning(folded, folded)


def _fold_words(text: str) -> str:
    words = [
        word for word in re.sub(r"[^\w\s%$€£°+\-#.]", " ", text).replace("-", " ").split() if word not in _ARTICLES
    ]
    kept = [_SAME_WORDS.get(single, single) for single in (_singular(word.strip(".")) for word in words)]
    return " ".join(kept) or text


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
