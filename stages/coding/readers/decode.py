"""JSON that may be damaged: strict and fast where it is sound, cleaned where it is not, never a crash."""

from __future__ import annotations

import json
from typing import Any

import orjson

from contextrl_data.stages.coding.readers.found import Unusable


def loads(data: bytes | str) -> Any:
    """Parse JSON. What Arrow and orjson refuse (lone surrogates, bytes that are no UTF-8) is replaced by U+FFFD.

    Raises:
        Unusable: the text is not JSON at all.
    """
    try:
        return orjson.loads(data)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    try:
        # Strictly more is accepted here: lone surrogates, NaN, control characters inside strings.
        return clean(json.loads(text, strict=False))
    except (ValueError, RecursionError) as error:
        raise Unusable("row is not JSON") from error


def clean(value: Any) -> Any:
    """The same value with every text in it encodable."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(item) for key, item in value.items()}
    return value


def clean_text(text: str) -> str:
    """Lone surrogates become U+FFFD; everything else stays."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # A pair that json.loads left as two halves is one character; only the lonely halves are lost.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
