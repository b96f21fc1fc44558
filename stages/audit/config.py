"""Settings of `contextrl-data audit`. Free of heavy packages, so that a build's config may hold them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from contextrl_data.pipeline.stage import StageConfig


class Columns(StageConfig):
    """Where a pair's parts stand. A dot goes into a struct (`extra_info.answer`); the defaults are our own columns.

    A column that is named here must be there; one that is not named is used where the dataset has it.
    """

    id: str = "id"
    """Names a row in findings; the row's number where there is no such column."""
    pair: str = "pair_id"
    """The undirected pair: both directions of it share it."""
    group: str = "group"
    """Pairs that share it are not independent: they stay in one fold of the cross-validation."""
    split: str = "split"
    """The split; else the name of the file or of the `datasets` split."""
    question: str = "question"
    """What is asked."""
    answer: str = "answer"
    """What C+ supports."""
    context_pos: str = "context_pos"
    """C+ as text: a string, a list of messages with `content`, or a list of strings."""
    context_neg: str = "context_neg"
    """C-, likewise."""
    image_pos: str = "image_pos"
    """C+ as an image: bytes, a path, or a struct of both."""
    image_neg: str = "image_neg"
    """C-, likewise."""
    embedding_pos: str = "embedding_pos"
    """A vector of C+, for the guesser that sees nothing but embeddings."""
    embedding_neg: str = "embedding_neg"
    """A vector of C-."""
    correct_first: str = "correct_first"
    """Whether C+ is shown first: true or false, or the option's letter or number (A, B, 0, 1)."""
    licence: str = "licence"
    """The row's licence."""
    source: str = "source"
    """Where the row comes from."""
    ids: list[str] = Field(
        default=["id", "pair_id", "instance_pos", "instance_neg", "repo", "image_id_pos", "image_id_neg"]
    )
    """Columns that are looked up in the lists of benchmark ids."""
    texts: list[str] = Field(default=["problem_statement_pos", "problem_statement_neg"])
    """Columns that are searched for benchmark texts, beside question, answer and contexts."""


class DuplicateConfig(StageConfig):
    """When two contexts are the same."""

    near: float = Field(default=0.9, gt=0, le=1)
    """Jaccard similarity of two texts' word 5-grams from which they count as near-duplicates."""
    image_distance: int = Field(default=40, ge=0, le=256)
    """Most bits of 256 in which the perceptual hashes of two near-duplicate images differ; `image_difference` confirms."""
    image_difference: float = Field(default=2.0, ge=0)
    """Largest difference of two near-duplicate images after both are scaled to 32 x 32: grey levels of 255, the mean
    over the tenth of the picture that differs most."""


class ContaminationConfig(StageConfig):
    """Lists of what models are measured on."""

    ids: list[Path] = Field(default=[])
    """Files of benchmark ids or repositories, one a line, compared without case; `*` stands for anything
    (`django__django-*`)."""
    texts: list[Path] = Field(default=[])
    """Benchmark texts: a .txt file with one text a line, a .jsonl file with `text`, `problem_statement` or `question`,
    or a folder whose files are one text each."""
    images: list[Path] = Field(default=[])
    """Benchmark images: a folder of images, or a text file of perceptual hashes (`imagehash.phash`, 64 hex digits for
    `hash_size=16`), one a line."""
    image_distance: int = Field(default=16, ge=0, le=256)
    """Most bits of 256 in which an image may differ from a listed hash, where there is no image to confirm it."""
    ngram: int = Field(default=13, ge=3)
    """Words of an n-gram. Of a text with fewer words the whole text must occur."""
    share: float = Field(default=0.5, gt=0, le=1)
    """Share of a benchmark text's n-grams in one row from which the row is contaminated."""


class AuditConfig(StageConfig):
    """What is measured, and when a dataset fails."""

    columns: Columns = Columns()
    """Where the parts of a pair stand."""
    splits: list[str] = Field(default=[])
    """Splits to read; empty: all."""
    revision: str | None = None
    """Of a Hub dataset: commit, tag or branch."""
    name: str | None = None
    """Of a Hub dataset: the configuration."""
    limit: int | None = Field(default=None, ge=1)
    """Read so many rows of each split at most."""
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    """Chance that any blind guesser at all is reported on a set where none of them knows anything (Holm)."""
    tolerance: float = Field(default=0.0, ge=0, lt=0.5)
    """How far from one half an accuracy may be without being reported."""
    folds: int = Field(default=5, ge=2)
    """Folds of the cross-validation. Groups are never cut."""
    max_features: int = Field(default=50_000, ge=10)
    """Most frequent words that the bag-of-words guesser looks at."""
    ignore: list[str] = Field(default=[])
    """Checks, by name, that are shown but do not count for the verdict."""
    duplicates: DuplicateConfig = DuplicateConfig()
    """When two contexts are the same."""
    contamination: ContaminationConfig = ContaminationConfig()
    """Lists of what models are measured on."""
    seed: int = 0
    """Draws the folds."""
    workers: int | None = Field(default=None, ge=1)
    """Processes; one per core by default. Changes no result."""
