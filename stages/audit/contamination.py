"""Rows that a benchmark holds too (by id, text or image), and rows without a licence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import translate
from pathlib import Path

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.audit.config import ContaminationConfig, DuplicateConfig
from contextrl_data.stages.audit.duplicates import near_hashes, thumb_difference, thumb_of
from contextrl_data.stages.audit.measure import Measured
from contextrl_data.stages.audit.picture import HASH_SIZE, Picture, describe
from contextrl_data.stages.audit.result import Finding
from contextrl_data.stages.facts import BENCHMARK_MARK

_DIGITS = HASH_SIZE * HASH_SIZE // 4


def contamination(rows: Sequence[Measured], config: ContaminationConfig, twins: DuplicateConfig) -> Iterator[Finding]:
    """Everything of a benchmark that was found."""
    marked = [row.id for row in rows if BENCHMARK_MARK in row.source]
    if marked:
        yield Finding.of("benchmark sources", "fail", "the build was told to let benchmark rows in", marked)
    if config.ids and (named := _by_id(rows, config.ids)):
        yield Finding.of("benchmark ids", "fail", "ids on the lists of benchmark ids", named)
    told = [f"{row.id} holds {', '.join(row.benchmark_texts[:3])}" for row in rows if row.benchmark_texts]
    if told:
        yield Finding.of("benchmark texts", "fail", "rows that hold a benchmark's text", told)
    if config.images and (seen := _by_image(rows, config, twins)):
        yield Finding.of("benchmark images", "fail", "images that look like a benchmark's", seen)


def licences(rows: Sequence[Measured], there: bool) -> Iterator[Finding]:
    """Rows whose licence nobody knows; `there` tells whether the dataset has the column at all."""
    missing = [row.id for row in rows if row.licence.strip().lower() in ("", "unknown", "none", "other")]
    if not missing:
        return
    gone = set(missing)
    sources = Counter(row.source or "unknown" for row in rows if row.id in gone)
    where = ", ".join(f"{name} ({count})" for name, count in sources.most_common(3))
    what = "no known licence" if there else "there is no licence column"
    yield Finding.of("licences missing", "fail", f"{what}; sources: {where}", missing)


def _by_id(rows: Sequence[Measured], paths: Sequence[Path]) -> list[str]:
    names = [name.lower() for path in paths for name in _lines(path, "benchmark ids")]
    exact = {name for name in names if "*" not in name}
    # Only `*` is special: ids hold brackets and question marks now and then.
    shapes = [translate(re.sub(r"([\[?])", r"[\1]", name)) for name in names if "*" in name]
    pattern = re.compile("|".join(shapes)) if shapes else None
    return [
        f"{row.id}: {hit}"
        for row in rows
        if (hit := next((name for name in row.ids if _listed(name.lower(), exact, pattern)), None))
    ]


def _listed(name: str, exact: set[str], pattern: re.Pattern[str] | None) -> bool:
    return name in exact or (pattern is not None and pattern.match(name) is not None)


def _by_image(rows: Sequence[Measured], config: ContaminationConfig, twins: DuplicateConfig) -> list[str]:
    """Rows whose image is a benchmark's: near its hash and, where the image itself is there, near its pixels."""
    listed = [one for path in config.images for one in _pictures(path.expanduser())]
    own = {one.key: (one, row.id) for row in rows for one in row.pictures or () if one.phash}
    pictures = [one for one, _ in own.values()]
    names = [name for _, name in own.values()]
    hashes = [one.phash for one in (*pictures, *(one for _, one in listed))]
    found: dict[int, str] = {}
    most = max(twins.image_distance, config.image_distance)
    for first, second in near_hashes(hashes, most) if pictures and listed else ():
        for i, j in zip(first.tolist(), second.tolist(), strict=True):
            if i < len(pictures) <= j:
                name, other = listed[j - len(pictures)]
                if _same_picture(pictures[i], other, config, twins):
                    found.setdefault(i, f"{names[i]} ~ {name}")
    return [found[place] for place in sorted(found)]


def _same_picture(one: Picture, other: Picture, config: ContaminationConfig, twins: DuplicateConfig) -> bool:
    if not other.thumb:  # a hash on a list
        bits = int.from_bytes(one.phash, "big") ^ int.from_bytes(other.phash, "big")
        return bits.bit_count() <= config.image_distance
    return thumb_difference(thumb_of(one), thumb_of(other)) <= twins.image_difference


def _pictures(path: Path) -> list[tuple[str, Picture]]:
    """Names and pictures of a folder of images, or of a list of hashes."""
    if path.is_dir():
        try:
            pictures = [(file.name, describe(file.read_bytes())) for file in sorted(path.rglob("*")) if file.is_file()]
        except OSError as error:
            raise InputError(
                f"the benchmark images {path} cannot be read: {error}", "give a readable folder"
            ) from error
        found = [(name, picture) for name, picture in pictures if picture.phash]
        if not found:
            raise InputError(f"{path} holds no image", "give a folder of images, or a text file of hashes")
        return found
    lines = _lines(path, "benchmark image hashes")
    wrong = [line for line in lines if not re.fullmatch(rf"[0-9a-fA-F]{{{_DIGITS}}}", line)]
    if wrong:
        raise InputError(
            f"{path} holds {wrong[0][:80]!r}, which is no hash of {_DIGITS} hex digits",
            f"make them with str(imagehash.phash(image, hash_size={HASH_SIZE}))",
        )
    return [(line.lower(), Picture(line.lower(), phash=bytes.fromhex(line))) for line in lines]


def _lines(path: Path, what: str) -> list[str]:
    try:
        lines = [line.strip() for line in path.expanduser().read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list of {what} {path} cannot be read", "give a text file with one a line") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError(f"the list of {what} {path} is empty", "give a text file with one a line")
    return found
