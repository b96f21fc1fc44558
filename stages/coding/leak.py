"""What is left after masking: measured for each answer and each view, never believed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from contextrl_data.stages.coding.regions import REGION
from contextrl_data.stages.lexical import (
    TextFeatures,
    changed_lines,
    context_text,
    fold,
    identifiers,
    lines_found,
    text_features,
)

_GRAM = 8
_SHIFT = 48
_MIX = np.uint64(0x9E3779B97F4A7C15)


Views = Mapping[str, Sequence[Mapping[str, str]]]


def features_of(views: Views) -> dict[str, TextFeatures]:
    """Features of both views of a run. Where one begins the other, which is the rule, that part is read once."""
    head, full = views["before_edit"], views["full"]
    before = text_features(context_text(head))
    if not head or full[: len(head)] != head:
        return {"before_edit": before, "full": text_features(context_text(full))}
    rest = text_features(context_text(full[len(head) :]))
    length = before.length + rest.length + (len(full) > len(head))
    return {
        "before_edit": before,
        "full": TextFeatures(length, before.folded + rest.folded, before.names | rest.names),
    }


def measure(
    answer: int,
    view: str,
    sides: Sequence[Mapping[str, Any]],
    views: Sequence[Views],
    features: Sequence[Mapping[str, TextFeatures]],
    readable_chars: int,
) -> dict[str, Any]:
    """The LEAK struct of one answer (0 or 1) in one view: its own context is C+, the other one C-.

    `features`: of both sides, as `features_of` gives them.
    """
    positive, negative = features[answer][view], features[1 - answer][view]
    patch = str(sides[answer]["patch"])
    removed, added = changed_lines(patch)
    names = identifiers(patch)
    run, length = longest_run(added, positive.folded)
    return {
        "answer": ("first", "second")[answer],
        "view": view,
        "longest_run": run,
        "longest_share": run / length if length else 0.0,
        "readable": lines_found(added, positive.folded, readable_chars + 1),
        "only_in_pos": _share(len((names & positive.names) - negative.names), len(names)),
        "only_in_neg": _share(len((names & negative.names) - positive.names), len(names)),
        "overlap_pos": _weighted(names, positive.names, negative.names),
        "overlap_neg": _weighted(names, negative.names, positive.names),
        "removed_pos": lines_found(removed, positive.folded),
        "removed_neg": lines_found(removed, negative.folded),
        "added_pos": lines_found(added, positive.folded),
        "added_neg": lines_found(added, negative.folded),
        "function_pos": shows_function(sides[answer]["edits"], views[answer][view]),
        "function_neg": shows_function(sides[answer]["edits"], views[1 - answer][view]),
    }


def longest_run(lines: Iterable[str], folded: str) -> tuple[int, int]:
    """Length of the longest stretch of any line found in a folded text, and that line's length; short ones count 0."""
    wanted = [line for line in dict.fromkeys(map(fold, lines)) if len(line) >= _GRAM]
    plain = folded.isascii() and all(line.isascii() for line in wanted)
    hashes = [_gram_hashes(line, plain) for line in wanted]
    known = np.unique(np.concatenate([*hashes, np.zeros(0, np.uint64)]))
    shown = _gram_hashes(folded, plain)
    if not len(known) or not len(shown):
        return 0, 0
    # Most of what is shown is told apart by its highest bits, in one look at a small table.
    low = np.zeros(1 << (64 - _SHIFT), bool)
    low[(known >> np.uint64(_SHIFT)).astype(np.intp)] = True
    shown = shown[low[(shown >> np.uint64(_SHIFT)).astype(np.intp)]]
    places = np.minimum(np.searchsorted(known, shown), len(known) - 1)
    grams = set(known[np.unique(places[known[places] == shown])].tolist())
    best, best_line = 0, 0
    for line, values in zip(wanted, hashes, strict=True):
        present = [value in grams for value in values.tolist()]
        start = 0
        while start + max(best + 1, _GRAM) <= len(line):
            # The grams at both ends of the wanted stretch tell most misses without reading the text.
            end = start + max(best + 1, _GRAM)
            if present[start] and present[end - _GRAM] and line[start:end] in folded:
                best, best_line = end - start, len(line)
            else:
                start += 1
    return best, best_line


def _gram_hashes(text: str, plain: bool) -> npt.NDArray[np.uint64]:
    """A number for every stretch of `_GRAM` characters; equal stretches have equal numbers. `plain`: all is ASCII."""
    size = max(len(text) - _GRAM + 1, 0)
    values = np.zeros(size, np.uint64)
    if plain:
        data = text.encode()
        for step in range(min(_GRAM, size)):  # eight characters are the eight bytes of one number
            values[step::_GRAM] = np.frombuffer(data, "<u8", (len(data) - step) // _GRAM, step)
        return values * _MIX
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    for step in range(_GRAM):
        values = values * np.uint64(1_000_003) + codes[step : step + size]
    return values * _MIX


def shows_function(edits: Sequence[Mapping[str, Any]], messages: Sequence[Mapping[str, str]]) -> bool:
    """Whether an observation still shows the head of an edited function, or a masked region of it."""
    heads = [
        f"{word}{edit['symbol'].rsplit('.', 1)[-1]}{mark}"
        for edit in edits
        if edit["symbol"]
        for word, mark in (("def", "("), ("class", "("), ("class", ":"))
    ]
    for message in messages:
        if message["role"] in ("assistant", "system"):
            continue
        folded = fold(message["content"])
        if any(head in folded for head in heads) or (not heads and fold(REGION) in folded):
            return True
    return False


def _weighted(names: frozenset[str], one: frozenset[str], other: frozenset[str]) -> float:
    """Share of the names found in `one`, each weighing its inverse document frequency over the two contexts."""
    weights = {name: math.log(3 / (1 + (name in one) + (name in other))) + 1 for name in sorted(names)}
    return _share(math.fsum(weights[name] for name in sorted(names & one)), math.fsum(weights.values()))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
