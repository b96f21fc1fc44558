"""Benchmark texts as sets of word n-grams, and the search for them in a row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson

from contextrl_data.pipeline.errors import InputError, first_line
from contextrl_data.stages.audit.words import Hashes, ngram_hashes, word_hashes

_KEYS = ("text", "problem_statement", "question", "prompt")
_NONE = np.zeros(0, np.int64)
LEAST_WORDS = 3
"""A text with fewer words says nothing."""


class BenchmarkTexts:
    """An index: n-gram -> the benchmark texts that hold it.

    A text of at least `ngram` words is found where one row's text holds `share` of its n-grams; a shorter one where
    it is a whole field of the row.
    """

    def __init__(self, texts: dict[str, str], ngram: int, share: float) -> None:
        self.ngram, self.share = ngram, share
        self.names: list[str] = []
        grams: list[Hashes] = []
        self._whole: dict[bytes, str] = {}
        for name, text in texts.items():
            words = word_hashes(text.lower())
            if len(words) < LEAST_WORDS:
                continue
            if len(words) < ngram:
                self._whole.setdefault(words.tobytes(), name)
                continue
            self.names.append(name)
            grams.append(ngram_hashes(text.lower(), ngram))
        self._sizes = np.array([len(one) for one in grams], np.int64)
        every = np.concatenate(grams) if grams else np.zeros(0, np.uint64)
        owners = np.repeat(np.arange(len(grams)), self._sizes)
        order = np.argsort(every, kind="stable")
        self._grams, self._owners = every[order], owners[order]

    def found(self, texts: Sequence[str], hashes: Sequence[Hashes]) -> list[str]:
        """Names of the benchmark texts in a row, given its texts and the n-gram hashes of each, lower case."""
        names: dict[str, None] = {}
        for text, grams in zip(texts, hashes, strict=True):
            if self._whole and len(text) < 100 * self.ngram:
                whole = self._whole.get(word_hashes(text.lower()).tobytes())
                if whole is not None:
                    names[whole] = None
            if len(self._grams):
                low, high = (np.searchsorted(self._grams, grams, side) for side in ("left", "right"))
                hits = np.concatenate([self._owners[i:j] for i, j in zip(low, high, strict=True) if j > i] or [_NONE])
                counts = np.bincount(hits, minlength=len(self.names))
                names.update(dict.fromkeys(self.names[i] for i in np.flatnonzero(counts >= self.share * self._sizes)))
        return list(names)


def read_benchmark_texts(paths: Sequence[Path], ngram: int, share: float) -> BenchmarkTexts | None:
    """Read the lists of the config; None where there are none.

    Raises:
        InputError: a list cannot be read, or holds no text.
    """
    texts: dict[str, str] = {}
    for path in paths:
        before = len(texts)
        try:
            texts.update(_texts(path.expanduser()))
        except (OSError, UnicodeDecodeError, orjson.JSONDecodeError) as error:
            raise InputError(
                f"the benchmark texts {path} cannot be read: {first_line(error)}",
                "give a .txt file, a .jsonl file with `text`, or a folder of text files",
            ) from error
        if len(texts) == before:
            raise InputError(
                f"{path} holds no benchmark text", f"a .jsonl row needs one of {', '.join(_KEYS)}; a .txt file, lines"
            )
    return BenchmarkTexts(texts, ngram, share) if texts else None


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            yield file.name, file.read_text(encoding="utf-8", errors="replace")
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in zip(itertools.count(1), lines, strict=False):
            if not line.strip():
                continue
            if path.suffix not in (".jsonl", ".ndjson"):
                yield f"{path.name}:{number}", line
                continue
            row = orjson.loads(line)
            text = next((row[key] for key in _KEYS if isinstance(row, dict) and isinstance(row.get(key), str)), "")
            if text:
                yield str(row.get("instance_id") or row.get("id") or f"{path.name}:{number}"), text
