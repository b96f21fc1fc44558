"""What is measured on one pair alone, in a worker process: per-pair guessers, sketches, image features, n-gram hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from contextrl_data.stages.audit.baselines import blind_scores
from contextrl_data.stages.audit.pairs import Pair
from contextrl_data.stages.audit.picture import Picture, describe
from contextrl_data.stages.audit.rare_words import shared_words
from contextrl_data.stages.audit.texts import BenchmarkTexts
from contextrl_data.stages.audit.words import TextSketch, digest, ngram_hashes, sketch_text
from contextrl_data.stages.lexical import changed_lines, fold, text_features

Numbers = np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(slots=True)
class Measured:
    """A pair without its heavy parts."""

    id: str
    split: str
    pair: str
    group: str
    correct_first: bool | None
    licence: str
    source: str
    diff: bool
    """Whether the answer is a unified diff."""
    answer_key: str
    """Digest of question and answer."""
    prompt_words: Numbers
    """Hashed words of question and answer."""
    scores: dict[str, float]
    """1 picks C+, 0 picks C-, 0.5 cannot tell."""
    texts: tuple[TextSketch, TextSketch] | None = None
    shared: tuple[Numbers, Numbers] | None = None
    """Hashed words of the answer that C+ and that C- holds."""
    pictures: tuple[Picture, Picture] | None = None
    embeddings: tuple[list[float], list[float]] | None = None
    ids: list[str] = field(default_factory=list)
    benchmark_texts: list[str] = field(default_factory=list)
    """Benchmark texts that were found in the row."""

    @property
    def context_keys(self) -> tuple[str, str] | None:
        """Digests of C+ and of C-, whatever they are."""
        if self.texts is None and self.pictures is None:
            return None
        sides = [
            "".join(part[place].key for part in (self.texts, self.pictures) if part is not None) for place in (0, 1)
        ]
        return sides[0], sides[1]


def measure_batch(pairs: Sequence[Pair], benchmark: BenchmarkTexts | None) -> list[Measured]:
    """Measure some pairs."""
    return [measure(pair, benchmark) for pair in pairs]


def measure(pair: Pair, benchmark: BenchmarkTexts | None = None) -> Measured:
    """Measure one pair."""
    prompt = f"{pair.question}\n{pair.answer}"
    found = Measured(
        id=pair.id,
        split=pair.split,
        pair=pair.pair,
        group=pair.group,
        correct_first=pair.correct_first,
        licence=pair.licence,
        source=pair.source,
        diff=any(changed_lines(pair.answer)),
        answer_key=digest(prompt),
        prompt_words=sketch_text(prompt).words,
        scores={},
        embeddings=pair.embeddings,
        ids=pair.ids,
    )
    if pair.correct_first is not None:
        found.scores["first"] = 1.0 if pair.correct_first else 0.0
    if pair.contexts is not None:
        _measure_texts(pair, pair.contexts, found)
    if pair.images is not None:
        found.pictures = (describe(pair.images[0]), describe(pair.images[1]))
        found.scores |= _picture_scores(*found.pictures)
    if benchmark is not None:
        texts = [pair.question, pair.answer, *(pair.contexts or ()), *pair.texts]
        hashes = [ngram_hashes(text.lower(), benchmark.ngram) for text in texts]
        found.benchmark_texts = benchmark.found(texts, hashes)
    return found


def _measure_texts(pair: Pair, contexts: tuple[str, str], found: Measured) -> None:
    found.texts = (sketch_text(contexts[0]), sketch_text(contexts[1]))
    row = {
        "answer": pair.answer,
        "context_pos": [{"content": contexts[0]}],
        "context_neg": [{"content": contexts[1]}],
        "correct_first": bool(pair.correct_first),
    }
    scores = blind_scores(row)
    del scores["first"]  # measured above, where the order is known
    if not found.diff:
        for name in ("patch_lines", "removed_lines", "added_lines"):
            del scores[name]
        right, wrong = (_answer_found(pair.answer, text) for text in contexts)
        scores["answer_verbatim"] = 0.5 if right == wrong else float(right > wrong)
    if pair.turns is not None:
        right, wrong = pair.turns
        scores["more_turns"] = 0.5 if right == wrong else float(right > wrong)
    found.scores |= scores
    first, second = shared_words(pair.answer, [text.words for text in found.texts])
    found.shared = (first, second)


def _answer_found(answer: str, context: str) -> int:
    """How many of the answer's lines stand in the context as they are, white space apart."""
    folded = text_features(context).folded
    return sum(line in folded for line in {fold(line) for line in answer.split("\n")} if line)


def _picture_scores(right: Picture, wrong: Picture) -> dict[str, float]:
    if not right.values or not wrong.values:
        return {}
    scores = {}
    for name, value in (("more_pixels", "pixels"), ("more_bytes", "bytes"), ("sharper", "sharpness")):
        one, other = right.values[value], wrong.values[value]
        scores[name] = 0.5 if one == other else float(one > other)
    return scores
