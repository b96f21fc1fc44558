"""What stands in a dataset twice: rows, contradictions, and contexts that two splits share, exactly or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.audit.config import DuplicateConfig
from contextrl_data.stages.audit.groups import pair_names
from contextrl_data.stages.audit.measure import Measured
from contextrl_data.stages.audit.picture import Picture
from contextrl_data.stages.audit.result import Finding
from contextrl_data.stages.audit.words import jaccard

LEAST_SHINGLES = 10
"""A text with fewer 5-grams is compared as a whole only: one word would decide."""
PERMUTATIONS = 64
BLOCK = 1024
"""Hashes that are compared with all others at once."""

Places = npt.NDArray[np.int64]
Thumb = npt.NDArray[np.int16]


def duplicates(rows: Sequence[Measured], config: DuplicateConfig) -> list[Finding]:
    """Every kind of duplicate, as findings."""
    rows = [row for row in rows if row.context_keys is not None]
    return [
        *_same_contexts(rows),
        *_same_rows(rows),
        *_shared_groups(rows),
        *_shared_contexts(rows),
        *_near(rows, "text", text_twins(rows, config)),
        *_near(rows, "image", picture_twins(rows, config)),
    ]


def _keys(row: Measured) -> tuple[str, str]:
    return row.context_keys or ("", "")


def _same_contexts(rows: Sequence[Measured]) -> Iterator[Finding]:
    same = [row.id for row in rows if len(set(_keys(row))) == 1]
    if same:
        yield Finding.of("equal contexts", "fail", "C+ and C- are the same: nobody can tell them apart", same)


def _same_rows(rows: Sequence[Measured]) -> Iterator[Finding]:
    seen: dict[tuple[str, str, str], str] = {}
    again, against = [], []
    for row in rows:
        right, wrong = _keys(row)
        key = (row.answer_key, right, wrong)
        if key in seen:
            again.append(f"{seen[key]} = {row.id}")
        seen.setdefault(key, row.id)
        if right != wrong and (other := seen.get((row.answer_key, wrong, right))):
            against.append(f"{other} x {row.id}")
    if again:
        yield Finding.of("duplicate rows", "fail", "the same question, answer and contexts stand in two rows", again)
    if against:
        yield Finding.of("contradictions", "fail", "two rows give one answer opposite contexts as C+", against)


def _shared_groups(rows: Sequence[Measured]) -> Iterator[Finding]:
    for name, check in (("group", "groups across splits"), ("pair", "pairs across splits")):
        splits: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            if getattr(row, name):
                splits[getattr(row, name)].add(row.split)
        shared = [key for key, found in splits.items() if len(found) > 1]
        if shared:
            yield Finding.of(check, "fail", f"a {name} stands in two splits", shared)


def _shared_contexts(rows: Sequence[Measured]) -> Iterator[Finding]:
    holders: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        for key in _keys(row):
            holders[key].setdefault(row.split, row.id)
    shared = [" = ".join(found.values()) for found in holders.values() if len(found) > 1]
    if shared:
        yield Finding.of("contexts across splits", "fail", "the same context stands in two splits", shared)


def _near(rows: Sequence[Measured], what: str, twins: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Twins in two splits are leaks; those inside one are told, since hard pairs are made of near-twins."""
    holders: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        for part in (row.texts or ()) if what == "text" else (row.pictures or ()):
            holders[part.key].append(place)
    pairs = pair_names(rows)
    across, inside = [], []
    for one, other in twins:
        places = [(i, j) for i in holders[one] for j in holders[other] if pairs[i] != pairs[j]]
        apart = next(((i, j) for i, j in places if rows[i].split != rows[j].split), None)
        if apart:
            across.append(f"{rows[apart[0]].id} ~ {rows[apart[1]].id}")
        elif places:
            inside.append(f"{rows[places[0][0]].id} ~ {rows[places[0][1]].id}")
    if across:
        yield Finding.of(f"near-duplicate {what}s across splits", "fail", "two splits hold nearly the same", across)
    if inside:
        yield Finding.of(f"near-duplicate {what}s", "info", "different pairs of one split hold nearly the same", inside)


def text_twins(rows: Sequence[Measured], config: DuplicateConfig) -> Iterator[tuple[str, str]]:
    """Keys of texts whose word 5-grams overlap by at least `near`: proposed by MinHash, confirmed on the sketches."""
    texts = {text.key: text for row in rows for text in row.texts or () if len(text.sketch) >= LEAST_SHINGLES}
    if len(texts) < 2:
        return
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise MissingExtra("audit", "finding near-duplicates") from error
    index = MinHashLSH(threshold=0.85 * config.near, num_perm=PERMUTATIONS)
    base = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
    for key, text in texts.items():
        made = base.copy()
        made.update_batch((text.sketch >> np.uint64(32)).tolist())
        for other in sorted(index.query(made)):
            if jaccard(text.sketch, texts[other].sketch) >= config.near:
                yield other, key
        index.insert(key, made)


def picture_twins(rows: Sequence[Measured], config: DuplicateConfig) -> Iterator[tuple[str, str]]:
    """Keys of images of a dataset that look the same: see `twins_among`."""
    yield from twins_among({one.key: one for row in rows for one in row.pictures or ()}.values(), config)


def twins_among(given: Iterable[Picture], config: DuplicateConfig) -> Iterator[tuple[str, str]]:
    """Keys of images that look the same: perceptual hashes a few bits apart, and thumbnails that hardly differ.

    The second measure looks at the tenth of the picture that differs most, so that one scene in which a decisive
    thing was changed is no duplicate. What could not be decoded has no hash, and no twin.
    """
    pictures = [one for one in given if one.phash]
    if len(pictures) < 2:
        return
    thumbs = [thumb_of(one) for one in pictures]
    for first, second in near_hashes([one.phash for one in pictures], config.image_distance):
        for i, j in zip(first.tolist(), second.tolist(), strict=True):
            if thumb_difference(thumbs[i], thumbs[j]) <= config.image_difference:
                yield pictures[i].key, pictures[j].key


def thumb_of(picture: Picture) -> Thumb:
    """The thumbnail as numbers."""
    return np.frombuffer(picture.thumb, np.uint8).astype(np.int16)


def thumb_difference(one: Thumb, other: Thumb) -> float:
    """Mean difference of the tenth of two thumbnails' pixels that differ most, 0..255."""
    apart = np.abs(one - other)
    most = max(1, len(apart) // 10)
    return float(np.partition(apart, -most)[-most:].mean())


def near_hashes(hashes: Sequence[bytes], distance: int) -> Iterator[tuple[Places, Places]]:
    """Places (i, j), i < j, of hashes at most so many bits apart. Exact: a blocked matrix product over all pairs."""
    bits = np.unpackbits(np.array([np.frombuffer(one, np.uint8) for one in hashes]), axis=1).astype(np.float32) * 2 - 1
    least = bits.shape[1] - 2 * distance
    for start in range(0, len(bits), BLOCK):
        alike = bits[start : start + BLOCK] @ bits[start:].T >= least
        first, second = np.nonzero(np.triu(alike, k=1))
        yield first + start, second + start
