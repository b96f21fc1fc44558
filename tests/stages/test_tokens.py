"""Token counts, offline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.tokens import load_counter


def test_the_bundled_encoding_counts_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    count = load_counter("cl100k_base")
    assert count("hello world") == 2
    assert count("<|endoftext|>") > 1  # text from a trajectory is never a special token
    assert "TIKTOKEN_CACHE_DIR" not in os.environ


def test_a_tokenizer_of_the_users(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert load_counter(str(tmp_path))("a b c") == 3
    assert load_counter(str(tmp_path / "tokenizer.json"))("a b") == 2


def test_mistakes_are_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no tokenizer\.json"):
        load_counter(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="is not a tokenizer file"):
        load_counter(str(tmp_path))


def test_an_unknown_name_is_one_line_with_the_remedy() -> None:
    code = (
        "from contextrl_data.stages.tokens import load_counter\n"
        "from contextrl_data.pipeline.errors import UserError\n"
        "try: load_counter('no/such-tokenizer')\n"
        "except UserError as error: print(error)"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert "'no/such-tokenizer' is not known here" in done.stdout
    assert "cl100k_base" in done.stdout
    assert len(done.stdout.splitlines()) == 1
