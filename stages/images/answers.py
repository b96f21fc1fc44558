"""When two answers mean the same. Mining needs answers that truly differ, so doubt counts as sameness."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from contextrl_data.stages.images.quantities import LETTERS, NUMBERS, quantity, rounded, singular, ungrouped, units_of

_ARTICLES = {"a", "an", "the"}
_SAME_WORDS = {
    "true": "yes", "y": "yes", "yeah": "yes", "yep": "yes", "correct": "yes",
    "false": "no", "n": "no", "nope": "no", "incorrect": "no",
    "grey": "gray", "colour": "color", "centre": "center", "metre": "meter", "tyre": "tire", "aeroplane": "airplane",
}  # fmt: skip
_NOTHING = {"", "unknown", "unanswerable", "unsuitable", "unsuitable image", "n/a", "na", "nan", "not sure", "null"}

_MARKED = str.maketrans({"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "×": "x"})
_DASHES = str.maketrans(dict.fromkeys("−–—‐‑", "-"))
_RAISED = re.compile("[⁰¹²³⁴-⁹⁺⁻]+")
_LATEX = [
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r" \1/\2"),
    (re.compile(r"\\sqrt\{([^{}]*)\}"), r"√\1"),
    (re.compile(r"\\(?:text|mathrm|mbox|mathbf)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\^\{?\\circ\}?"), "°"),
    (re.compile(r"\\(?:left|right|[,;! ])"), ""),
    (re.compile(r"\\(?:times|cdot)"), " x "),
    *((re.compile(rf"\\{name}(?![a-z])"), mark) for name, mark in (
        ("pi", "π"), ("%", "%"), ("approx", "≈"), ("leq?", "≤"), ("geq?", "≥"), ("pm", "±"),
    )),
]  # fmt: skip
_SPLIT = re.compile(r"\s*(?:,|;|\band\b|&|/(?!\d))\s*")
_EDGES = " \t\n\r.,;:!?'\"`()[]{}*_"
_LETTER = re.compile(r"^\(?([A-Za-z])\)?[.):]?$")
_POINT = re.compile(r"^(?:[a-z]['′]?\s*=?\s*)?(?:\(([^()\[\]]*)[\])]|\[([^()\[\]]*)\))$")
_ASSIGNED = re.compile(r"^[a-zα-ω]['′]?\s*=\s*(?=\S)")
_ONE = r"([-+]?[$€£¥₹]?\d+(?:\.\d+)?)"
_RANGE = re.compile(rf"^(?:from\s+)?{_ONE}\s*((?!to\b)[a-z%°]*)\s*(?:-|to\b)\s*{_ONE}(?:\s*([a-z%°][^\d]*))?$")
_BETWEEN = re.compile(rf"^between\s+{_ONE}\s*((?!and\b)[a-z%°]*)\s+and\s+{_ONE}(?:\s*([a-z%°][^\d]*))?$")
_TIME = re.compile(r"^(\d{1,2})(?::([0-5]\d))?(?::([0-5]\d))?(?:\s*([ap])\.?\s?m)?$")
_OCLOCK = re.compile(r"^([a-z]+|\d{1,2})\s*o\W?clock$")
_COMMA_DECIMAL = re.compile(r"^[-+]?\d+,\d{1,2}(?:\s*[^\d\s,;][^\d,;]*)?$")
_SIGN = re.compile(r"(?<![\w)])-\s*(?=[\d.√π(])|(?<![\w)])-(?=[a-z]\b)|(?<=\w)-$")
_MAYBE_SIGN = re.compile(r"(?<=[\w)])(?:-|\s+-\s+)(?=[\d.√π(])")
LONGEST = 300
"""A longer answer, in characters, is compared as it is."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """An answer, folded. Two answers are the same where `key` is, once units are set aside where one side has none."""

    key: str
    worth: str
    """The key without its unit: five million for "$5 million"; equal to `key` where there is none."""
    bare: str
    """The key without its unit and its word of scale: five for "$5 million"; equal to `key` where there is neither."""
    others: tuple[str, ...] = ()
    """Keys of other ways to read it: "1,5" may be a list or a number, 50 % is 0.5."""

    @classmethod
    def alone(cls, key: str, *others: str) -> Meaning:
        """What has no unit."""
        return cls(key, key, key, others)


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
    >>> meaning("(0, -1)") == meaning("(0, 1)") or meaning("(1, 2)") == meaning("(2, 1)")
    False
    """
    marked = " ".join(_plain(answer).split()).strip(" .,;:!?")
    if point := _point(marked):
        return point
    text = ungrouped(marked.strip(_EDGES))
    if text in _NOTHING:
        return None
    if len(text) > LONGEST:
        return Meaning.alone(text)
    single = _measure(text) or _measure(_ASSIGNED.sub("", text))
    if single is not None:
        return single
    found = [_measure(part) or _words(part) for one in _SPLIT.split(text) if (part := one.strip(_EDGES))]
    if not found:
        return Meaning.alone(text)
    if len(found) == 1:
        return found[0]
    return _together(found, lambda keys: "\n".join(sorted(set(keys))), *_other_readings(text, found))


def codes(answers: Iterable[str]) -> list[int]:
    """One integer an answer; equal integers mean the same answer, -1 none. All answers must be to one question.

    Where "5" is an answer, "5 cm" and "5 kg" may both be meant by it, and all three count as one.
    """
    found = [meaning(answer) for answer in answers]
    numbers = {one.bare for one in found if one is not None and one.key == one.bare}
    amounts = {one.worth for one in found if one is not None and one.key == one.worth}
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            key = above
        return key

    for one in found:
        if one is None:
            continue
        if one.bare in numbers:
            parent[root(one.key)] = root(one.bare)
        if one.worth in amounts:
            parent[root(one.key)] = root(one.worth)
        for other in one.others:
            parent[root(one.key)] = root(other)
    known: dict[str, int] = {}
    return [-1 if one is None else known.setdefault(root(one.key), len(known)) for one in found]


def differ(one: Meaning | None, other: Meaning | None) -> bool:
    """Whether two answers are surely different: neither says nothing, and no unit left out and no other way to read
    them could make them one."""
    if one is None or other is None or {one.key, *one.others} & {other.key, *other.others}:
        return False
    bare = one.key == one.bare or other.key == other.bare
    amount = one.key == one.worth or other.key == other.worth
    return not ((bare and one.bare == other.bare) or (amount and one.worth == other.worth))


def _plain(answer: str) -> str:
    """Typography and LaTeX set aside."""
    text = _RAISED.sub(lambda found: "^" + unicodedata.normalize("NFKC", found.group()), answer.translate(_MARKED))
    text = unicodedata.normalize("NFKC", text).translate(_DASHES).casefold()
    if len(text) <= LONGEST:
        if "\\" in text:
            for pattern, mark in _LATEX:
                text = pattern.sub(mark, text)
        if text.startswith("$") and text.rstrip(" .").endswith("$") and len(text) > 2:
            text = text.strip("$ .")
    return text


def _point(text: str) -> Meaning | None:
    """Numbers in round brackets are in order: a point, an interval."""
    found = _POINT.match(text)
    if found is None or len(text) > LONGEST:
        return None
    parts = [part.strip() for part in re.split("[,;]", found[1] if found[1] is not None else found[2])]
    values = [_measure(part) for part in parts if part]
    if len(values) < 2 or len(values) != len(parts) or any(re.match(r"[-+]?0\d", part) for part in parts):
        return None
    known = [one for one in values if one is not None]
    return _in_order(known) if len(known) == len(values) else None


def _in_order(values: Sequence[Meaning]) -> Meaning:
    return _together(values, lambda keys: f"({', '.join(keys)})")


def _together(parts: Sequence[Meaning], write: Callable[[Iterable[str]], str], *others: str) -> Meaning:
    """Several as one, written by `write`. In another reading all of them are read that way."""
    read = (write(keys) for keys in zip(*(one.others for one in parts), strict=False))
    key, worth, bare = (write(keys) for keys in zip(*((one.key, one.worth, one.bare) for one in parts), strict=True))
    return Meaning(key, worth, bare, (*others, *read))


def _other_readings(text: str, found: Sequence[Meaning]) -> Iterable[str]:
    """What a list may be beside a list: a number with a decimal comma, a point."""
    if _COMMA_DECIMAL.match(text) and (decimal := _measure(text.replace(",", ".", 1))):
        yield decimal.key
    if all(one.key.startswith("#") for one in found):
        yield _in_order(found).key


def _measure(text: str) -> Meaning | None:
    """A number with or without its unit, a range of numbers, a time; None where the text is something else."""
    special = _range(text) or _time(text)
    if special is not None:
        return special
    found = quantity(text)
    if found is None or re.search(r"[,;]|\band\b", found.rest):
        return None
    worth, bare = (f"#{rounded(each)}" for each in (found.value, found.said))
    unit = found.rest.strip(_EDGES).replace("^", "").replace("square ", "").replace("sq ", "") if found.rest else ""
    if not unit:
        return Meaning(worth, worth, bare)
    others = [f"#{rounded(found.value * LETTERS[unit])}"] if unit in LETTERS else []
    known = units_of(unit, "2" if "square " in found.rest or "sq " in found.rest else "")
    if not known:  # "3 dogs": the count is what the question asked for, and the noun what it named
        return Meaning(f"{worth} {_fold_words(unit)}", worth, bare, tuple(others))
    key, *more = (f"#{rounded(found.value * size)} {kind}" for kind, size in known)
    others += [f"#{rounded(found.value / 100)}"] if known[0][0] == "share" else []
    return Meaning(key, worth, bare, (*others, *more))


def _range(text: str) -> Meaning | None:
    """ "5-10 cm", "from 5 to 10 cm", "between 5 and 10 cm"."""
    found = _RANGE.match(text) or _BETWEEN.match(text)
    if found is None:
        return None
    low, unit, high, last = (part or "" for part in found.groups())
    ends = [quantity(f"{low} {unit or last}".strip()), quantity(f"{high} {last or unit}".strip())]
    sides = [_measure(f"{rounded(end.value)} {end.rest}".strip()) for end in ends if end is not None]
    known = [one for one in sides if one is not None]
    return _together(known, "..".join) if len(known) == len(ends) else None


def _time(text: str) -> Meaning | None:
    """ "3:30", "3:30 pm" (which is 15:30), "3 o'clock"."""
    if whole := _OCLOCK.match(text):
        hour = whole[1] if whole[1].isdigit() else str(NUMBERS.get(whole[1], ""))
        return Meaning.alone(f"@{int(hour)}:00") if hour.isdigit() else None
    found = _TIME.match(text)
    if found is None or not (found[2] or found[4]) or int(found[1]) > 24:
        return None
    rest = f":{found[2] or '00'}" + (f":{found[3]}" if found[3] else "")
    bare = f"@{int(found[1])}{rest}"
    if not found[4]:
        return Meaning.alone(bare)
    hour_of_day = int(found[1]) % 12 + (12 if found[4] == "p" else 0)
    return Meaning(f"{bare} {found[4]}m", bare, bare, (f"@{hour_of_day}{rest}",))


def _words(text: str) -> Meaning:
    """Words; where a dash may be a sign or a hyphen, both readings."""
    plain = _fold_words(_MAYBE_SIGN.sub(" ", text))
    folded = _fold_words(_MAYBE_SIGN.sub(" −", text))
    return Meaning.alone(folded, *((plain,) if plain != folded else ()))


def _fold_words(text: str) -> str:
    signed = _SIGN.sub("−", text).replace("-", " ")
    words = [word for word in re.sub(r"[^\w\s%$€£¥₹°+−#.<>≤≥±√π∞]", " ", signed).split() if word not in _ARTICLES]
    kept = [_SAME_WORDS.get(single, single) for single in (singular(word.strip(".")) for word in words)]
    return " ".join(kept) or text
