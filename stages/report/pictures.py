"""The report of an image dataset: one self-contained page without scripts, pairs side by side, the decisive region outlined.

Everything from the data is escaped; pictures stand in the page as they are (base64), and a content policy allows no
script and no network.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import IO, Any

import yaml

from contextrl_data.pipeline.stage import Row
from contextrl_data.pipeline.store import disk_error
from contextrl_data.stages.report.page import Overview

_FORMATS = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"), (b"BM", "bmp"))

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:24px;color:#1d1d1f;background:#fafafa}
table{border-collapse:collapse;margin:8px 0 20px;width:100%;background:#fff}
td,th{border-bottom:1px solid #e4e4e7;padding:5px 10px;text-align:left;vertical-align:top}
.tiles{display:flex;gap:12px;flex-wrap:wrap}.tile{background:#fff;border:1px solid #e4e4e7;border-radius:8px;padding:10px 16px}
.tile b{display:block;font-size:22px}.pair{background:#fff;border:1px solid #e4e4e7;border-radius:8px;margin:18px 0;padding:14px 18px}
.sides{display:flex;gap:16px;flex-wrap:wrap}.side{flex:1 1 320px}.frame{position:relative;display:inline-block}
.frame img{max-width:100%;display:block;border:1px solid #d4d4d8}.frame svg{position:absolute;inset:0;width:100%;height:100%}
.good{color:#15803d}.bad{color:#b91c1c}.small{color:#52525b;font-size:13px}pre{white-space:pre-wrap}
"""


def write_picture_report(path: Path, pairs: Iterable[Row], overview: Overview) -> int:
    """Write one HTML file; returns how many pairs it shows. `pairs` may be a generator: one of them is held at a time."""
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
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    title = escape(overview.title)
    out.write(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{_STYLE}</style></head><body>\n'
        f"<h1>{title}</h1>\n{_overview(overview)}\n<h2>Pairs</h2>\n"
    )
    shown = 0
    for row in pairs:
        out.write(_pair(row))
        shown += 1
    out.write(
        f'<p class="small">{shown} pairs are shown, each in one direction; the dataset has {max(overview.total, shown)} rows.</p>\n</body></html>\n'
    )
    return shown


def _overview(overview: Overview) -> str:
    tiles = "".join(f'<div class="tile"><b>{_text(value)}</b>{_text(name)}</div>' for name, value in overview.tiles)
    limits = "".join(f"<li>{_text(line.replace('`', ''))}</li>" for line in overview.limits)
    settings = yaml.safe_dump(dict(overview.config), sort_keys=False, allow_unicode=True) if overview.config else ""
    return (
        f'<div class="tiles">{tiles}</div>\n<h2>Know before use</h2><ul>{limits}</ul>\n'
        f"<h2>Funnel</h2>{_funnel(overview.funnel)}\n<h2>Can a blind reader pick C+?</h2>{_audit(overview.audit)}\n"
        f"<details><summary>Settings</summary><pre>{_text(settings)}</pre></details>"
    )


def _funnel(funnel: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for line in funnel:
        why = [f"{name} {count}" for name, count in line["steps"]]
        why += [f"{count} dropped: {reason}" for reason, count in line["dropped"].items()]
        why += [f"{count} failed at {boundary}" for boundary, count in line["failed"].items()]
        rows.append([line["stage"], line["rows_in"], line["kept"], line["rows_out"], "; ".join(why)])
    return _table(["stage", "rows in", "kept", "rows out", "what happened to the others"], rows)


def _audit(audit: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in audit:
        chance = "yes" if one["low"] <= 0.5 <= one["high"] else "NO"
        rows.append([one["name"], f"{one['accuracy']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}", one["n"], chance])
    return _table(["baseline", "accuracy", "95 % interval", "pairs", "at chance"], rows)


def _pair(row: Row) -> str:
    choices = f" <span class='small'>({_text(', '.join(row['choices']))})</span>" if row["choices"] else ""
    scores = [f"{one['name']} {one['value']:.3g}" for one in row["scores"] if one["value"] is not None]
    if row["similarity"] is not None:
        scores.insert(0, f"similarity {row['similarity']:.3f}")
    checks = [f"{one['name']}: {_outcome(one['passed'])}" for one in row["checks"]]
    about = [row["domain"], row["method"], row["renderer"], row["split"], row["source"], row["licence"], row["verdict"]]
    sides = _side(row, "pos", "C+", row["answer"], "good") + _side(row, "neg", "C-", row["answer_neg"], "bad")
    return (
        f'<div class="pair"><h3>{_text(row["question"])}{choices}</h3><div class="sides">{sides}</div>'
        f'<p class="small">{_text(" · ".join(part for part in about if part))}<br>{_text("; ".join([*scores, *checks]))}'
        f"<br>{_text(row['id'])}</p></div>\n"
    )


def _side(row: Row, side: str, title: str, answer: str, colour: str) -> str:
    data = row[f"image_{side}"]["bytes"]
    kind = next((name for mark, name in _FORMATS if data.startswith(mark)), "png")
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (
        f'<div class="side"><p><b class="{colour}">{title}: {_text(answer)}</b></p>'
        f'<div class="frame"><img alt="{title}" src="{source}">{_outline(row["box"], data)}</div></div>'
    )


def _outline(box: Sequence[int] | None, data: bytes) -> str:
    """A frame around the region that decides, in the picture's own pixels."""
    if not box:
        return ""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
    x0, y0, x1, y1 = box
    return (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none"><rect x="{x0 - 2}" y="{y0 - 2}" '
        f'width="{x1 - x0 + 4}" height="{y1 - y0 + 4}" fill="none" stroke="#dc2626" stroke-width="2"/></svg>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    heads = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _outcome(passed: bool | None) -> str:
    return "not checked" if passed is None else "passed" if passed else "FAILED"


def _text(value: object) -> str:
    return escape(str(value))
