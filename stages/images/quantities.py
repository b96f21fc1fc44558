"""Numbers and units in answers: what they are worth, in whatever way they are written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

_UNITS_OF_TEN = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
NUMBERS: dict[str, int | Fraction] = {
    **{word: number for number, word in enumerate(_SMALL)},
    **{word: 10 * number for number, word in enumerate(_UNITS_OF_TEN, 2)},
    "none": 0,
    "once": 1,
    "single": 1,
    "twice": 2,
    "pair": 2,
    "couple": 2,
    "half": Fraction(1, 2),
}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SHORT_SCALES = {"mn": 10**6, "mln": 10**6, "bn": 10**9, "tn": 10**12}
LETTERS = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
"""What a letter after a number may multiply it by: "5 M" may be five million. After an amount of money it does."""
_PI = Fraction(31415926535897932, 10**16)
_KINDS = {
    "length": {
        "mm|millimeter|millimetre": "0.001", "cm|centimeter|centimetre": "0.01", "m|meter|metre": "1",
        "km|kilometer|kilometre": "1000", "in|inch|inche|\"": "0.0254", "ft|foot|feet": "0.3048", "yd|yard": "0.9144",
        "mi|mile": "1609.344",
    },
    "area": {"mm2": "0.000001", "cm2": "0.0001", "m2": "1", "km2": "1000000"},
    "volume": {"ml|milliliter|millilitre|cm3": "0.001", "l|liter|litre": "1", "m3": "1000"},
    "mass": {"mg|milligram": "0.001", "g|gram": "1", "kg|kilogram|kilo": "1000", "t|ton|tonne": "1000000",
             "lb|lbs|pound": "453.59237", "oz|ounce": "28.349523125"},
    "time": {"ms|millisecond": "0.001", "s|sec|second": "1", "min|minute": "60", "h|hr|hour": "3600", "day": "86400"},
    "speed": {"km/h|kmh|kph|kilometers per hour|kilometres per hour": "1000", "m/s|meters per second": "3600",
              "mph|mi/h|miles per hour": "1609.344"},
    "angle": {"°|deg|degree": "1", "rad|radian": str(180 / _PI)},
    "share": {"%|percent|per cent|percentage|pct": "1"},
    "money": {"$|dollar|usd|us dollar": "1", "cent|¢": "0.01"},
    "money:eur": {"€|euro|eur": "1"},
    "money:gbp": {"£|gbp": "1"},
    "money:jpy": {"¥|yen|jpy": "1"},
    "money:inr": {"₹|rupee|inr": "1"},
    "temperature:c": {"°c|c|celsius|degrees celsius|degree celsius|degrees c|deg c": "1"},
    "temperature:f": {"°f|f|fahrenheit|degrees fahrenheit|degree fahrenheit|degrees f|deg f": "1"},
}  # fmt: skip
UNITS = {
    name: (kind, Fraction(size)) for kind, sizes in _KINDS.items() for names, size in sizes.items()
    for name in names.split("|")
}  # fmt: skip
"""Unit -> what it measures, and how many of that kind's base unit it is."""
_MAY_BE = {
    "pound": ("£",), "c": ("¢",), "m": ("min",), **dict.fromkeys(("°", "deg", "degree"), ("°c", "°f")),
}  # fmt: skip
_SHORT_LENGTHS = {"meter": "m", "metre": "m", "centimeter": "cm", "kilometer": "km"}

_NUMBER = re.compile(
    r"^([-+]?)(?:(\d+)\s+(\d+)/(\d+)|(\d+)/(\d+)|(\d+)\^\(?(-?\d{1,2})\)?"
    r"|(\d+(?:\.\d*)?|\.\d+)(?:e([-+]?\d{1,3})|\s*[x*]\s*10\^\(?([-+]?\d{1,3})\)?)?)"
)
_IRRATIONAL = re.compile(r"^\s*(?:\*\s*)?(?:(π|pi\b)|(?:√|sqrt)\s*\(?(\d+(?:\.\d+)?)\)?)(?:/(\d+))?")
_SPACED = re.compile(r"^([-+]?(?:[$€£¥₹]\s?)?\d{1,3})((?:[ '’]\d{3})+)(?!\d)")
_LAKHS = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?!\d)")
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?![\d.])")
_COMMAS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ROUGHLY = re.compile(
    r"^(?:(?:about|approximately|approx\.?|around|roughly|nearly|almost|circa|ca\.?)\s+|[~≈]\s*)(?=[-+\d$€£¥₹.])"
)
_MINUS = re.compile(r"^(?:minus|negative)\s+(?=\S)")
DIGITS = 3
"""Significant digits at which two numbers count as one: 3.14 is 3.142."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and what follows it."""

    value: Fraction
    rest: str
    said: Fraction
    """The number as it is written: 2 where `value` is two million."""


def ungrouped(text: str) -> str:
    """Text whose long numbers have lost their separators: 1,000 and 1 000 and 1'000, 1,00,000, 1.000.000."""
    text = _LAKHS.sub(lambda found: found.group().replace(",", ""), text)
    text = _DOTTED.sub(lambda found: found.group().replace(".", ""), text)
    text = _SPACED.sub(lambda found: found[1] + re.sub(r"\D", "", found[2]), text)
    return _COMMAS.sub("", text)


def quantity(text: str) -> Quantity | None:
    """A leading number, in digits or in words, and what follows it; None where there is none."""
    text = _MINUS.sub("-", _ROUGHLY.sub("", text))
    negative, unsigned = text.startswith("-"), text.removeprefix("-").lstrip()
    for mark in ("us$", "$", "€", "£", "¥", "₹"):
        if unsigned.startswith(mark):
            return _money(unsigned.removeprefix(mark).strip(), mark.removeprefix("us"), negative)
    if unsigned.startswith(("π", "√", "sqrt")):
        text = f"{'-' if negative else ''}1 {unsigned}"
    found = _NUMBER.match(text)
    if found is None:
        spelt = _spelt(unsigned.replace("-", " ").split())
        return None if spelt is None else _signed(*spelt, -1 if negative else 1)
    value = _value(found)
    if value is None:
        return None
    value = -value if found[1] == "-" else value
    rest = text[found.end() :]
    if rest[:1] and (rest[0] in ":/.-,;^" or rest[0].isdigit()):
        return None  # a time, a date, a range, a version, a list
    return _scaled(value, rest)


def _signed(value: Fraction, rest: str, sign: int) -> Quantity:
    return Quantity(sign * value, rest, sign * value)


def units_of(name: str, power: str = "") -> list[tuple[str, Fraction]]:
    """What a unit may measure and its size, the likeliest first; none where it is no unit. `power` is "2" for squares.

    >>> [kind for kind, _ in units_of("pounds")], units_of("dogs")
    (['mass', 'money:gbp'], [])
    """
    name = name.replace("° ", "°")
    one = singular(name)
    for each in (name, one, name.removesuffix("s") if len(name) > 2 else name, _SHORT_LENGTHS.get(one, one)):
        if each + power in UNITS:
            return [UNITS[other] for other in (each + power, *_MAY_BE.get(each + power, ()))]
    return []


def singular(word: str) -> str:
    """The word without its plural's ending."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def rounded(value: Fraction) -> str:
    """Three significant digits, except that whole numbers keep all of theirs: 1999 is not 2000."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.{DIGITS}g}" if abs(value) < 10**DIGITS else str(round(value))


def _value(found: re.Match[str]) -> Fraction | None:
    """What the digits say, without the sign."""
    _, whole, above, below, over, under, base, power, plain, exponent, tens = found.groups()
    if whole:
        return int(whole) + Fraction(int(above), int(below)) if int(below) else None
    if over:
        return Fraction(int(over), int(under)) if int(under) else None
    if base:
        small = int(base) <= 1000 and (int(base) or int(power) > 0)
        return Fraction(int(base)) ** int(power) if small else None
    return Fraction(plain) * Fraction(10) ** int(exponent or tens or 0)


def _scaled(value: Fraction, rest: str) -> Quantity:
    """Apply what multiplies a number: words of scale, π, a root."""
    said = value
    if (found := _IRRATIONAL.match(rest)) and (not found[3] or int(found[3])):
        factor = _PI if found[1] else Fraction(math.sqrt(float(found[2])))
        value = said = value * factor / int(found[3] or 1)
        rest = rest[found.end() :]
    while True:
        word, _, after = rest.strip().partition(" ")
        scale = _scale(word) or _SHORT_SCALES.get(word) or (LETTERS["k"] if word == "k" and rest[0] == "k" else 0)
        if not scale:
            return Quantity(value, rest.strip(), said)
        value, rest = value * scale, f" {after}"


def _scale(word: str) -> int:
    return _SCALES.get(word) or _SCALES.get(word.removesuffix("s")) or 0


def _money(text: str, mark: str, negative: bool) -> Quantity | None:
    inner = quantity(text)
    if inner is None or (inner.rest and inner.rest not in LETTERS and units_of(inner.rest) != [UNITS[mark]]):
        return None
    sign = -1 if negative else 1
    return Quantity(sign * inner.value * LETTERS.get(inner.rest, 1), mark, sign * inner.said)


def _spelt(words: list[str]) -> tuple[Fraction, str] | None:
    """ "two hundred and five metres" -> (205, "metres"); "a hundred" -> (100, "")."""
    total = current = Fraction(0)
    taken = 0
    counted = False
    for place, word in enumerate(words):
        if word in NUMBERS:
            current += Fraction(NUMBERS[word])
        elif scale := _scale(word):
            current = current if counted else Fraction(1)
            if scale > 100:
                total, current = (total + current * scale, Fraction(0)) if current else (total * scale, current)
            else:
                current *= scale
        elif _links(word, words[:place], words[place + 1 : place + 3]):
            continue
        else:
            break
        counted, taken = True, place + 1
    return (total + current, " ".join(words[taken:])) if counted else None


def _links(word: str, before: list[str], after: list[str]) -> bool:
    """Whether an "a" or an "and" is part of a number: "a dozen", "two hundred and five", "two and a half"."""
    if word == "a":
        return bool(after) and (after[0] in NUMBERS or after[0] in _SCALES)
    if word != "and" or not before or not after:
        return False
    return after[0] == "half" or after == ["a", "half"] or (bool(_scale(before[-1])) and after[0] in NUMBERS)
