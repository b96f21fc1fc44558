"""Sound rows, spoilt: values of another kind anywhere in them, and bytes of their files flipped, cut and spliced."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

from bad_pictures import FORMATS, broken, encoded, picture

Row = dict[str, Any]

TEXTS = (
    "", " ", "\0", "\ud800", "\u2028", "é", "\r\n", "VALID", "```bash\n", "<function=bash>", "</script>", "{", "[", '"',
    "diff --git a/x b/x\n", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "@@ -0,0 +1,9999999999 @@\n", "../../etc/passwd",
    "\x1b[2J", "<EDIT_MASKED>", "\u202e", "%s", "{0}", "{answer}", "x" * 3000, "A\n" * 500, "'", "\\", "null", "NaN",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, -(2**63), 1e308, -0.0, 0.1, True, False)


def junk(rng: random.Random, depth: int = 0) -> Any:
    """A value of any kind that JSON has."""
    kind = rng.randrange(6 if depth < 4 else 3)
    if kind == 0:
        return None
    if kind == 1:
        return rng.choice(NUMBERS)
    if kind in (2, 3):
        return "".join(rng.choice(TEXTS) for _ in range(rng.randrange(4)))
    if kind == 4:
        return [junk(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(("role", "content", "bytes", "path", "text", "x", "")): junk(rng, depth + 1) for _ in range(3)}


NESTED = re.compile(rb'"@@nested(\d+)@@"')


def dumps(value: Any) -> bytes:
    """JSON, in which marks become lists in lists: as deep as Python's own writer would not go."""
    return NESTED.sub(lambda found: b"[" * int(found[1]) + b'"x"' + b"]" * int(found[1]), json.dumps(value).encode())


def spoil(rng: random.Random, row: Row) -> Row:
    """A copy with one to three places of it changed."""
    spoilt = copy.deepcopy(row)
    for _ in range(rng.randint(1, 3)):
        holder, place = _place(rng, spoilt)
        if holder is None:
            continue
        how = rng.randrange(6)
        if how == 0:
            del holder[place]
        elif how == 1 and isinstance(holder[place], str):
            text = holder[place]
            cut = rng.randrange(len(text) + 1)
            holder[place] = text[:cut] + rng.choice(TEXTS) + text[cut + rng.randrange(50) :]
        elif how == 2 and isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), junk(rng))
        elif how == 3 and rng.random() < 0.3:
            holder[place] = f"@@nested{rng.choice((10, 100, 600, 990, 50_000))}@@"
        else:
            holder[place] = junk(rng)
    return spoilt


def _place(rng: random.Random, value: Any) -> tuple[Any, Any]:
    """Somewhere in the row: what holds it, and under what."""
    holder, place = None, None
    while isinstance(value, dict | list) and value:
        if holder is not None and rng.random() < 0.35:
            break
        holder, place = value, rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value = holder[place]
    return holder, place


def line(rng: random.Random, row: Row) -> bytes:
    """One line of JSON; now and then its bytes are spoilt too."""
    packed = dumps(row)
    kind = rng.randrange(12)
    if kind == 0:
        return packed[: rng.randrange(len(packed))]
    if kind == 1:
        at = rng.randrange(len(packed))
        return packed[:at] + rng.randbytes(rng.randrange(8)) + packed[at:]
    if kind == 2:
        spoilt = bytearray(packed)
        for _ in range(rng.randint(1, 9)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        return bytes(spoilt)
    if kind == 3:
        return rng.randbytes(rng.randrange(200)) if rng.random() < 0.5 else dumps(junk(rng))
    return packed


def image(rng: random.Random) -> bytes:
    """A whole picture one time in four."""
    return encoded(picture(rng), rng.choice(FORMATS)) if rng.random() < 0.25 else broken(rng)
