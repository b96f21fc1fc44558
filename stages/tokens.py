"""Count the tokens of a text with a tokenizer that has a name, so that a budget means the same thing to everyone."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contextrl_data.pipeline.errors import InputError, MissingExtra, SetupError
from contextrl_data.pipeline.stage import StageConfig

Counter = Callable[[str], int]


class TokenConfig(StageConfig):
    """The token budget of one prompt."""

    tokenizer: str = "cl100k_base"
    """A tiktoken encoding (`cl100k_base`, `o200k_base`, ...), a Hub model with a fast tokenizer, or a local folder or
    `tokenizer.json`."""
    max_tokens: int = 32_768
    """Longest prompt that is kept: the question, the answer and both contexts. A longer one is dropped, never cut."""


def load_counter(name: str) -> Counter:
    """A function from text to its number of tokens, special tokens not added.

    >>> load_counter("cl100k_base")("two words")
    2
    """
    path = Path(name).expanduser()
    if path.is_file() or path.is_dir():
        return _from_file(path if path.is_file() else path / "tokenizer.json")
    if _needs("tiktoken") and name in _tiktoken_names():
        return _from_tiktoken(name)
    return _from_hub(name)


def _needs(package: str) -> bool:
    if importlib.util.find_spec(package) is None:
        raise MissingExtra("coding", "counting tokens")
    return True


def _tiktoken_names() -> list[str]:
    import tiktoken

    return tiktoken.list_encoding_names()


def _from_tiktoken(name: str) -> Counter:
    import tiktoken

    try:
        with _bundled_encodings():
            encoding = tiktoken.get_encoding(name)
    except Exception as error:  # requests' many errors: no network, a proxy, a damaged download
        raise SetupError(
            f"the tokenizer {name!r} could not be loaded ({type(error).__name__})",
            "go online once, set TIKTOKEN_CACHE_DIR to a folder that holds it, or name cl100k_base",
        ) from error
    return lambda text: len(encoding.encode_ordinary(text))


@contextmanager
def _bundled_encodings() -> Iterator[None]:
    """litellm ships the cl100k_base file: with it, counting works offline. A user's own cache folder goes first."""
    spec = importlib.util.find_spec("litellm")
    folder = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers" if spec and spec.origin else None
    if folder is None or not folder.is_dir() or "TIKTOKEN_CACHE_DIR" in os.environ:
        yield
        return
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["TIKTOKEN_CACHE_DIR"]


def _from_file(path: Path) -> Counter:
    _needs("tokenizers")
    from tokenizers import Tokenizer

    if not path.is_file():
        raise InputError(
            f"{path.parent} holds no tokenizer.json", "name a folder saved by a fast Hugging Face tokenizer"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises the bare class
        raise InputError(
            f"{path} is not a tokenizer file ({error})", "name a tokenizer.json of a fast tokenizer"
        ) from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _from_hub(name: str) -> Counter:
    _needs("tokenizers")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_pretrained(name)
    except Exception as error:  # the Rust side raises the bare class
        known = ", ".join(_tiktoken_names())
        raise SetupError(
            f"the tokenizer {name!r} is not known here and the Hub did not give it ({type(error).__name__})",
            f"name one of {known}, a model on the Hub, or a local folder with tokenizer.json",
        ) from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
