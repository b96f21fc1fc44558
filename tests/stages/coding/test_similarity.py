"""Similarity of issues by a real sentence transformer: a small one, made here and read from its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("sentence_transformers", reason="needs the extra [sentence]")


from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.coding.cascade import Cascade, CascadeConfig
from contextrl_data.stages.coding.similarity import IssueSimilarity, SentenceTransformerConfig

WORDS = ["[UNK]", "car", "automobile", "vehicle", "apple", "fruit", "the", "wrong"]
VECTORS = [[0, 0, 0.0], [1, 0, 0], [0.9, 0.1, 0], [0.8, 0.2, 0], [0, 1, 0], [0, 0.9, 0.1], [0, 0, 0.1], [0, 0, 0.2]]
ISSUES_OF_WORDS = {"one": "the car", "two": "the automobile", "three": "the apple", "none": "  "}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words with vectors of their own: what means the same lies together, whatever its letters."""
    import numpy as np

    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    folder = tmp_path_factory.mktemp("models") / "words"
    embedding = StaticEmbedding(tokenizer, embedding_weights=np.array(VECTORS, np.float32))
    SentenceTransformer(modules=[embedding], device="cpu").save(str(folder))
    return folder


def test_a_model_finds_related_what_shares_no_word(model: Path) -> None:
    by_meaning = IssueSimilarity(ISSUES_OF_WORDS, SentenceTransformerConfig(model=str(model)))
    by_words = IssueSimilarity(ISSUES_OF_WORDS)
    assert by_meaning("one", "two") > 0.9 > 0.3 > by_meaning("one", "three")
    assert by_words("one", "two") == by_words("one", "three")
    assert by_meaning("one", "one") == 1.0
    assert by_meaning("one", "none") == 0.0
    assert by_meaning("one", "two") == round(by_meaning("one", "two"), 4)


def test_the_models_content_is_part_of_the_key(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "words")
    stage = Cascade(CascadeConfig(sentence_transformer=SentenceTransformerConfig(model=str(folder))))
    before = stage.fingerprint()
    assert (
        before == Cascade(CascadeConfig(sentence_transformer=SentenceTransformerConfig(model=str(model)))).fingerprint()
    )
    (folder / "more.txt").write_text("another model")
    assert stage.fingerprint() not in (before, "")
    assert Cascade(CascadeConfig()).fingerprint() == ""


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SetupError, match="sentence-transformers cannot load"):
        IssueSimilarity(ISSUES_OF_WORDS, SentenceTransformerConfig(model=str(tmp_path)))
