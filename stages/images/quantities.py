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
    "dozen": 12,
}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SHORT_SCALES = {"k": 10**3, "mn": 10**6, "mln": 10**6, "bn": 10**9, "tn": 10**12}
_MONEY_SCALES = {**_SHORT_SCALES, "m": 10**6, "b": 10**9, "t": 10**12}
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
             "lb|pound": "453.59237", "oz|ounce": "28.349523125"},
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
    "temperature:c": {"°c|celsius|degrees celsius|degree celsius|degrees c": "1"},
    "temperature:f": {"°f|fahrenheit|degrees fahrenheit|degree fahrenheit|degrees f": "1"},
}  # fmt: skip
UNITS = {
    name: (kind, Fraction(size)) for kind, sizes in _KINDS.items() for names, size in sizes.items()
    for name in names.split("|")
}  # fmt: skip
"""Unit -> what it measures, and how many of that kind's base unit it is."""

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
    """Apply what multiplies a number: a word of scale, π, a root."""
    said = value
    if (found := _IRRATIONAL.match(rest)) and (not found[3] or int(found[3])):
        factor = _PI if found[1] else Fraction(math.sqrt(float(found[2])))
        value = said = value * factor / int(found[3] or 1)
        rest = rest[found.end() :]
    word, _, after = rest.strip().partition(" ")
    if word in _SCALES or (word in _SHORT_SCALES and rest[:1] != " "):
        value, rest = value * (_SCALES | _SHORT_SCALES)[word], after
    return Quantity(value, rest.strip(), said)


def _money(text: str, mark: str, negative: bool) -> Quantity | None:
    inner = quantity(text)
    if inner is None or (inner.rest and inner.rest not in _MONEY_SCALES):
        return None
    sign = -1 if negative else 1
    return Quantity(sign * inner.value * _MONEY_SCALES.get(inner.rest, 1), mark, sign * inner.said)


def _spelt(words: list[str]) -> tuple[Fraction, str] | None:
    """ "two hundred and five metres" -> (205, "metres")."""
    total = current = Fraction(0)
    taken = 0
    for place, word in enumerate(words):
        if word in NUMBERS:
            current += Fraction(NUMBERS[word])
        elif word in _SCALES and taken:
            current *= _SCALES[word]
            if _SCALES[word] > 100:
                total, current = total + current, Fraction(0)
        elif word not in ("and", "a") or not place + 1 < len(words) or words[place + 1] not in NUMBERS:
            break
        taken = place + 1
    if not taken or (taken == 1 and words[0] == "a"):
        return None
    return total + current, " ".join(words[taken:])
