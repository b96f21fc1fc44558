"""The one door to Python's parser: safe from several threads, and silent about other people's sources."""

from __future__ import annotations

import ast
import threading
import warnings
from typing import Any, Literal, overload

# Until Python 3.12 the depth of a tree under construction is counted for the whole interpreter: when a finalizer hands
# the GIL to another thread that parses too, both counts are wrong and a SystemError follows (CPython issue 106905).
# warnings.catch_warnings is for one thread at a time as well.
_one_at_a_time = threading.Lock()


@overload
def parse(text: str, mode: Literal["exec"] = "exec") -> ast.Module: ...
@overload
def parse(text: str, mode: Literal["eval"]) -> ast.Expression: ...


def parse(text: str, mode: Literal["exec", "eval"] = "exec") -> Any:
    """Return the tree of a module, or of one expression.

    Raises:
        SyntaxError: the text is no Python.
        ValueError: it holds a null byte.
        RecursionError, MemoryError: it is nested too deeply.
    """
    with _one_at_a_time, warnings.catch_warnings():
        # Old sources are full of invalid escapes, which are theirs to mend.
        warnings.simplefilter("ignore")
        return ast.parse(text, mode=mode)


def literal(text: str) -> Any:
    """Return the value of a literal; raises what `parse` does, and ValueError where the text is no literal."""
    return ast.literal_eval(parse(text.lstrip(" \t"), mode="eval"))
