"""Write the report: one HTML file that holds its style, its script and its data, and asks nobody for anything.

Nothing of the data becomes markup: it lies in the page as base64 or as JSON escaped for a script element, the page's
own script writes text nodes only, and a content policy allows that one script and no network. The script stands before
the data, so that the page answers while a large file is still being read.
"""

from __future__ import annotations

import base64
import hashlib
import html
import shutil
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import orjson

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.report.overview import Overview
from contextrl_data.stages.report.packing import Pack, columns_of, element, packed
from contextrl_data.stages.report.pictures import budget_of

MAX_BYTES = 95_000_000
"""Size that a page stops growing at."""

STYLES = ("base.css", "overview.css", "pairs.css", "trajectory.css", "pictures.css")
SCRIPTS = (
    "dom.js",
    "data.js",
    "theme.js",
    "audit.js",
    "overview.js",
    "review.js",
    "list.js",
    "align.js",
    "trajectory.js",
    "pictures.js",
    "evidence.js",
    "pair.js",
    "walk.js",
    "main.js",
)
"""Joined in this order to one style and one script."""


def write_report(path: Path, pairs: Iterable[Row], overview: Overview, max_bytes: int = MAX_BYTES) -> int:
    """Write the page; returns how many pairs it shows: all of `pairs` (may be a generator), or what `max_bytes` holds.

    Raises:
        SetupError: the file cannot be written.
        MissingExtra: there are pictures, and Pillow is not installed.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent) as body:
            pack = Pack(body, budget_of(max_bytes, overview.pictures))
            pack.add_all(pairs, max_bytes)
            body.seek(0)
            with part.open("w", encoding="utf-8", newline="\n") as out:
                out.write(_before(pack, overview))
                shutil.copyfileobj(body, out, 1 << 20)
                out.write("</body>\n</html>\n")
        part.replace(path)
    except OSError as error:
        raise SetupError(
            f"cannot write {path}: {error.strerror or error}", "free space or permissions there, or choose with --out"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return len(pack.index)


def _before(pack: Pack, overview: Overview) -> str:
    """Everything that stands before the chunks."""
    script, style = "".join(map(_asset, SCRIPTS)), "".join(map(_asset, STYLES))
    ids = hashlib.sha256("\n".join(line["id"] for line in pack.index).encode()).hexdigest()[:16]
    page = _asset("page.html")
    for name, value in (
        ("SCRIPT_HASH", _hash(script)),
        ("STYLE_HASH", _hash(style)),
        ("STYLE", style),
        ("TITLE", html.escape(overview.title)),
    ):
        page = page.replace(f"@@{name}@@", value)
    head = {**overview.head(len(pack.index)), "key": ids}
    data = f'<script type="application/json" id="data-head">{_script_json(head)}</script>\n'
    return page + data + element("data-index", packed(columns_of(pack.index))) + f"<script>{script}</script>\n"


def _script_json(data: Any) -> str:
    """JSON that cannot end its script element, nor open a comment in it."""
    text = orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (resources.files("contextrl_data.stages.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
