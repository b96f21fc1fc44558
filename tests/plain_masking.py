"""What masking and its measures mean, said plainly: one text at a time, line by line, name by name. Slow; the stage must agree."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from contextrl_data.stages.coding.inline import PREFIXES, Quotes, code_of
from contextrl_data.stages.coding.regions import BLANK, GAP, REGION, STRONG, WEAK, Regions
from contextrl_data.stages.lexical import changed_lines, context_text, fold, identifiers, lines_found

_TOKEN = re.compile(r"[^\W\d]\w*|\d[\w.]*|\S")
_CARETS = re.compile(r"^[E>|]?[ \t]*[~^]+[ \t~^]*\r?$")
FENCE = re.compile(r"```[ \t]*([\w+-]*)[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
FENCE_LINE = re.compile(r"(^[ \t]*`{3,}[^\n]*$)", re.MULTILINE)


def mask(regions: Regions, text: str, code: bool) -> str:
    """The text with whatever is edited replaced: by lines in code; in prose quotations too."""
    if not regions.strength:
        return text
    lines = text.split("\n")
    quoted = _quoted_lines(regions.quotes, text, lines) if code else set()
    masked = "\n".join(_mask_lines(regions, lines, quoted))
    if not code:
        for start, end in reversed(_spans(regions.quotes, masked)):
            masked = masked[:start] + REGION + masked[end:]
    return masked


def _spans(quotes: Quotes, text: str) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted([*_runs(quotes, text), *_remains(quotes, text)]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _remains(quotes: Quotes, text: str) -> list[tuple[int, int]]:
    packed, places = fold(text), [place for place, char in enumerate(text) if not char.isspace()]
    found = []
    for line in quotes.folded:
        start = packed.find(line)
        while start >= 0:
            found.append((places[start], places[start + len(line) - 1] + 1))
            start = packed.find(line, start + len(line))
    return found


def _runs(quotes: Quotes, text: str) -> list[tuple[int, int]]:
    matches = list(_TOKEN.finditer(text))
    tokens = [match.group() for match in matches]
    found = [
        (start, start + size)
        for size in (1, 2, 3)
        for start in range(len(tokens) - size + 1)
        if tuple(tokens[start : start + size]) in quotes.short
    ]
    run: tuple[int, int] | None = None
    for start in range(len(tokens)):
        if tuple(tokens[start : start + 4]) not in quotes.grams:
            continue
        if run is not None and start <= run[1]:
            run = (run[0], start + 4)
            continue
        found += [run] if run is not None and _tells(quotes, tokens[run[0] : run[1]]) else []
        run = (start, start + 4)
    found += [run] if run is not None and _tells(quotes, tokens[run[0] : run[1]]) else []
    return [(matches[first].start(), matches[end - 1].end()) for first, end in found]


def _tells(quotes: Quotes, tokens: Sequence[str]) -> bool:
    names = {token for token in tokens if token[0].isalpha() or token[0] == "_"}
    return sum(map(len, tokens)) >= quotes.run_chars and len(names) > 1


def _quoted_lines(quotes: Quotes, text: str, lines: Sequence[str]) -> set[int]:
    borders = [0]
    for line in lines:
        borders.append(borders[-1] + len(line) + 1)

    def pieces(start: int, end: int) -> list[tuple[int, int]]:
        inside = [
            (number, len(fold(text[max(start, borders[number]) : min(end, borders[number + 1])])))
            for number in range(len(lines))
            if start < borders[number + 1] and end > borders[number]
        ]
        return [(number, size) for number, size in inside if size]

    hidden = {number for start, end in _remains(quotes, text) for number, _ in pieces(start, end)}
    shares: dict[int, int] = {}
    for start, end in _runs(quotes, text):
        for number, size in pieces(start, end):
            shares[number] = shares.get(number, 0) + size
            if size >= 30:
                hidden.add(number)
    return hidden | {number for number, size in shares.items() if size >= 0.6 * len(fold(code_of(lines[number])))}


def _forms(line: str) -> list[str]:
    found = ["".join(line.split())]
    for prefix in PREFIXES:
        if match := prefix.match(line):
            rest = line[match.end() :]
            found.append("".join(rest.split()))
            if sign := PREFIXES[1].match(rest) or PREFIXES[2].match(rest):
                found.append("".join(rest[sign.end() :].split()))
    return found


def _kind(regions: Regions, line: str) -> int:
    kind = 0
    for form in _forms(line):
        if form:
            kind |= regions.strength.get(form, 0) | (GAP if form in regions.gaps else 0)
        else:
            kind |= BLANK
    return kind


def _mask_lines(regions: Regions, lines: Sequence[str], quoted: set[int]) -> list[str]:
    kinds = [_kind(regions, line) for line in lines]
    hidden = [kind & STRONG > 0 or number in quoted for number, kind in enumerate(kinds)]
    opened = _fill_gaps(regions, lines, kinds, hidden)
    solid = [index for index, kind in enumerate(kinds) if not kind & BLANK]
    for order in (solid, solid[::-1]):
        for neighbour, index in pairwise(order):
            if hidden[neighbour] and kinds[index] & WEAK:
                hidden[index] = True
    for above, below in pairwise(solid):
        if hidden[above] and (hidden[below] or (below == above + 1 and _CARETS.match(lines[below]))):
            hidden[above + 1 : below + 1] = [True] * (below - above)
    shown: list[str] = []
    for index, line in enumerate(lines):
        if index in opened and not (index and hidden[index - 1]) and not hidden[index]:
            shown.append(REGION)
        if not hidden[index]:
            shown.append(line)
        elif not (index and hidden[index - 1]):
            shown.append(REGION)
    return shown


def _fill_gaps(regions: Regions, lines: Sequence[str], kinds: Sequence[int], hidden: list[bool]) -> set[int]:
    opened: set[int] = set()
    filled = [index for index, kind in enumerate(kinds) if not kind & BLANK]
    for place, index in enumerate(filled):
        for gap in (gap for form in _forms(lines[index]) for gap in regions.gaps.get(form, ())):
            for between in gap.between:
                window = filled[place + 1 : place + 2 + len(between)]
                wanted = [*between, gap.after]
                if len(window) == len(wanted) and all(
                    line in _forms(lines[at]) for line, at in zip(wanted, window, strict=True)
                ):
                    for at in window[:-1]:
                        hidden[at] = True
                    if not between:
                        opened.add(window[0])
    return opened


def leak(answer: int, view: str, sides: Sequence[Any], views: Sequence[Any], readable_chars: int) -> dict[str, Any]:
    """The LEAK struct of one answer in one view."""
    own, other = views[answer][view], views[1 - answer][view]
    texts = [fold(context_text(messages)) for messages in (own, other)]
    shown = [identifiers(context_text(messages)) for messages in (own, other)]
    patch = str(sides[answer]["patch"])
    removed, added = changed_lines(patch)
    names = identifiers(patch)
    run, length = longest_run(added, texts[0])
    return {
        "answer": ("first", "second")[answer],
        "view": view,
        "longest_run": run,
        "longest_share": run / length if length else 0.0,
        "readable": lines_found(added, texts[0], readable_chars + 1),
        "only_in_pos": _share(len((names & shown[0]) - shown[1]), len(names)),
        "only_in_neg": _share(len((names & shown[1]) - shown[0]), len(names)),
        "overlap_pos": _weighted(names, shown[0], shown[1]),
        "overlap_neg": _weighted(names, shown[1], shown[0]),
        "removed_pos": lines_found(removed, texts[0]),
        "removed_neg": lines_found(removed, texts[1]),
        "added_pos": lines_found(added, texts[0]),
        "added_neg": lines_found(added, texts[1]),
        "function_pos": _shows_function(sides[answer]["edits"], own),
        "function_neg": _shows_function(sides[answer]["edits"], other),
    }


def longest_run(lines: Sequence[str], folded: str) -> tuple[int, int]:
    """Every stretch of every line, the longest first found."""
    best = best_line = 0
    for line in map(fold, lines):
        for start in range(len(line)):
            for end in range(start + max(best + 1, 8), len(line) + 1):
                if line[start:end] in folded:
                    best, best_line = end - start, len(line)
    return best, best_line


def _weighted(names: frozenset[str], one: frozenset[str], other: frozenset[str]) -> float:
    weights = {name: math.log(3 / (1 + (name in one) + (name in other))) + 1 for name in sorted(names)}
    return _share(math.fsum(weights[name] for name in sorted(names & one)), math.fsum(weights.values()))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _shows_function(edits: Sequence[Mapping[str, Any]], messages: Sequence[Mapping[str, str]]) -> bool:
    heads = [
        f"{word}{edit['symbol'].rsplit('.', 1)[-1]}{mark}"
        for edit in edits
        if edit["symbol"]
        for word, mark in (("def", "("), ("class", "("), ("class", ":"))
    ]
    shown = [fold(message["content"]) for message in messages if message["role"] not in ("assistant", "system")]
    return any(head in text for text in shown for head in heads or [fold(REGION)])
