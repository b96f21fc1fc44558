"""Write the report. The page holds its data as JSON that the browser unpacks piece by piece, as pairs are opened.

Nothing of the data becomes markup: JSON is escaped for a script element, contexts are compressed and base64, the
page's own script writes text nodes only, and a content policy allows that one script and no network.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import IO, Any

import yaml

from contextrl_data.pipeline.stage import Row
from contextrl_data.pipeline.store import disk_error

CHUNK_CHARS = 600_000
"""Characters of new text after which a chunk is closed: what the browser unpacks to show one pair."""


@dataclass(frozen=True)
class Overview:
    """What the report says beside the pairs; all of it JSON-ready, as in `provenance.json`."""

    title: str
    funnel: Sequence[Mapping[str, Any]] = ()
    audit: Sequence[Mapping[str, Any]] = ()
    """Blind baselines: name, accuracy, low, high, n."""
    config: Mapping[str, Any] = field(default_factory=dict)
    tiles: Sequence[tuple[str, object]] = ()
    """Names and figures for the first row of the page."""
    limits: Sequence[str] = ()
    """What a reader must know before use."""
    total: int = 0
    """Pairs in the dataset, of which the page may show fewer."""


def write_report(path: Path, pairs: Iterable[Row], overview: Overview) -> int:
    """Write one self-contained HTML file; returns how many pairs it shows. `pairs` may be a generator."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as out:
            shown = _write(out, pairs, overview)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk_error(path, error) from error
    return shown


def _write(out: IO[str], pairs: Iterable[Row], overview: Overview) -> int:
    script, style = _asset("page.js"), _asset("page.css")
    page = _asset("page.html")
    for name, value in (
        ("SCRIPT_HASH", _hash(script)),
        ("STYLE_HASH", _hash(style)),
        ("STYLE", style),
        ("TITLE", html.escape(overview.title)),
    ):
        page = page.replace(f"@@{name}@@", value)
    out.write(page)
    index: list[dict[str, Any]] = []
    chunk, number = _Chunk(), 0
    for row in pairs:
        index.append({**_line(row), "chunk": number, "place": chunk.add(row)})
        if chunk.chars > CHUNK_CHARS:
            chunk.write(out, number)
            chunk, number = _Chunk(), number + 1
    chunk.write(out, number)
    head = {
        "title": overview.title,
        "funnel": list(overview.funnel),
        "audit": list(overview.audit),
        "config": yaml.safe_dump(dict(overview.config), sort_keys=False, allow_unicode=True) if overview.config else "",
        "tiles": [[name, value] for name, value in overview.tiles],
        "limits": list(overview.limits),
        "total": max(overview.total, len(index)),
    }
    for name, data in (("data-head", head), ("data-index", index)):
        out.write(f'<script type="application/json" id="{name}">{_script_json(data)}</script>\n')
    out.write(f"<script>{script}</script>\n</body>\n</html>\n")
    return len(index)


def _line(row: Row) -> dict[str, Any]:
    """What the list and the filters need of a pair."""
    name = row["symbol"] or row["file"] or row["id"]
    searched = (row["id"], row["file"], row["symbol"], row["repo"], row["instance_pos"], row["instance_neg"])
    line = {key: row[key] or "" for key in ("id", "kind", "repo", "split", "verdict", "direction")}
    return {**line, "name": name, "text": " ".join(part or "" for part in searched).lower()}


class _Chunk:
    """Some pairs, with every message text stored once: the two directions of a pair show the same contexts."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self.pairs: list[dict[str, Any]] = []
        self.chars = 0

    def add(self, row: Row) -> int:
        sides = {}
        for letter, side in zip("ab", ("pos", "neg") if row["correct_first"] else ("neg", "pos"), strict=True):
            sides[letter] = {
                "messages": [
                    [message["role"], self._text(message["content"] or "")] for message in row[f"context_{side}"]
                ],
                "instance": row[f"instance_{side}"],
                "trajectory": row[f"trajectory_{side}"],
                "model": row[f"model_{side}"],
                "resolved": row[f"resolved_{side}"],
                "statement": row[f"problem_statement_{side}"],
            }
        plain = ("id", "kind", "question", "answer", "answer_neg", "view", "repo", "file", "symbol", "source")
        more = ("licence", "verdict", "judge", "checks", "measures", "tokens", "tokenizer", "split")
        pair = {key: row[key] for key in (*plain, *more)}
        self.pairs.append({**pair, **sides, "correct": row["correct_option"], "scores": row["blind_scores"]})
        return len(self.pairs) - 1

    def _text(self, text: str) -> int:
        if text not in self.texts:
            self.chars += len(text)
        return self.texts.setdefault(text, len(self.texts))

    def write(self, out: IO[str], number: int) -> None:
        raw = json.dumps({"texts": list(self.texts), "pairs": self.pairs}, ensure_ascii=True).encode()
        packed = base64.b64encode(zlib.compress(raw, 6)).decode()
        out.write(f'<script type="text/plain" id="chunk-{number}">{packed}</script>\n')


def _script_json(data: Any) -> str:
    """JSON that cannot end its script element, nor open a comment in it."""
    text = json.dumps(data, ensure_ascii=True, default=str)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (resources.files("contextrl_data.stages.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
