"""Similarity of issues (TF-IDF, or a sentence transformer) and of contexts (MinHash over lines), with well-kept libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from contextrl_data.pipeline.errors import MissingExtra, SetupError
from contextrl_data.pipeline.hashing import sha256_file
from contextrl_data.pipeline.stage import StageConfig

if TYPE_CHECKING:
    from datasketch import MinHash

_PERMUTATIONS = 128


class SentenceTransformerConfig(StageConfig):
    """A model of sentence-transformers."""

    model: str = Field(min_length=1)
    """Folder, or name on the Hub (`sentence-transformers/all-MiniLM-L6-v2`, ...)."""
    revision: str | None = None
    """Commit of the Hub's repository; name one, so that a build can be repeated."""

    def fingerprint(self) -> str:
        """The folder's content; on the Hub the revision names it."""
        folder = Path(self.model).expanduser()
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        listed = "".join(f"{path.relative_to(folder)} {sha256_file(path)}\n" for path in files)
        return hashlib.sha256(listed.encode("utf-8", "replace")).hexdigest() if files else ""


class IssueSimilarity:
    """Cosine similarity of issues: of TF-IDF vectors fitted on them, or of a model's embeddings.

    Keys are instance ids.
    """

    def __init__(self, texts: Mapping[str, str], model: SentenceTransformerConfig | None = None) -> None:
        self._place = {key: place for place, key in enumerate(sorted(texts))}
        ordered = [texts[key] for key in self._place]
        self._vectors = _tfidf(ordered) if model is None else _embedded(ordered, model)
        # The last digits depend on the order of summation inside BLAS, a model's on the batch; a row must not.
        self._digits = 9 if model is None else 4

    def __call__(self, one: str, other: str) -> float:
        """Cosine in 0..1; 0 where one of the texts has no words."""
        if self._vectors is None:
            return 0.0
        rows = self._vectors[[self._place[one], self._place[other]]]
        value = float((rows[0] @ rows[1].T).sum())
        return round(min(max(value, 0.0), 1.0), self._digits)


def _tfidf(texts: Sequence[str]) -> Any:
    """Sparse rows of length 1; None where there is not a single word in all of them."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise MissingExtra("coding", "comparing issues") from error
    # Without a single word there is nothing to compare, and scikit-learn refuses an empty vocabulary.
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b[A-Za-z_]\w+\b", norm="l2")
    try:
        return vectorizer.fit_transform(texts)
    except ValueError:
        return None


def _embedded(texts: Sequence[str], config: SentenceTransformerConfig) -> Any:
    """(n, d) float32, each row of length 1, or 0 where a text has nothing in it."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra("sentence", "comparing issues by a sentence transformer") from error
    try:
        model = SentenceTransformer(config.model, revision=config.revision)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first = " ".join(str(error).split())[:160]
        raise SetupError(
            f"sentence-transformers cannot load {config.model!r}: {first}",
            "give a folder with such a model, or its name on the Hub in cascade.sentence_transformer.model",
        ) from error
    vectors = model.encode(list(texts), batch_size=32, show_progress_bar=False, normalize_embeddings=True)
    vectors[[not text.strip() for text in texts]] = 0.0
    return vectors


def line_shingles(messages: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Pairs of neighbouring lines of a run, without its system prompt and task: what near-duplicates share."""
    lines: list[str] = []
    for message in messages[2:]:
        lines.extend(stripped for line in str(message["content"] or "").split("\n") if (stripped := line.strip()))
    # Surrogates cannot be encoded strictly, and a bad row is no reason to stop.
    return sorted({f"{one}\n{two}".encode("utf-8", "replace") for one, two in pairwise(lines)})


def signature(shingles: Iterable[bytes]) -> MinHash:
    """MinHash signature of a set of shingles."""
    try:
        from datasketch import MinHash
    except ImportError as error:
        raise MissingExtra("coding", "finding near-duplicates") from error
    made = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=_hash32)
    made.update_batch(list(shingles))
    return made


def _hash32(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "little")
