"""A set on the Hub, streamed from a local server that speaks the part of its protocol that `datasets` needs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("PIL")

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

COMMIT = "d" * 40


def jpeg(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (48, 40), colour).save(out, "JPEG")
    return out.getvalue()


COLOURS = ("red", "green", "blue")
ROWS = [
    {"query": "What colour?", "label": colour, "image": {"bytes": jpeg(colour), "path": None}, "license": "CC0-1.0"}
    for colour in COLOURS
]


def parquet() -> bytes:
    features = {"query": "Value", "label": "Value", "license": "Value"}
    note: dict[str, Any] = {name: {"dtype": "string", "_type": kind} for name, kind in features.items()}
    note["image"] = {"_type": "Image"}
    out = io.BytesIO()
    table = pa.Table.from_pylist(ROWS)
    metadata = {"huggingface": json.dumps({"info": {"features": {name: note[name] for name in table.column_names}}})}
    pq.write_table(table.replace_schema_metadata(metadata), out)
    return out.getvalue()


FILES = {"data/train-00000-of-00001.parquet": parquet()}


class Hub(BaseHTTPRequestHandler):
    """One public data set, `own/qa`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        wanted = (
            json.loads(body)["paths"]
            if body.startswith("{")
            else [unquote(p[6:]) for p in body.split("&") if p[:6] == "paths="]
        )
        found = [entry for entry in entries() if entry["path"] in wanted]
        self.answer(200, json.dumps(found).encode())

    def do_GET(self) -> None:
        path = unquote(self.path.split("?")[0])
        name = path.partition(f"/resolve/{COMMIT}/")[2]
        if "/tree/" in path:
            below = path.partition(f"/tree/{COMMIT}")[2].strip("/")
            deep = "recursive=true" in self.path.lower()
            shown = [e for e in entries() if e["path"].startswith(f"{below}/" if below else "")]
            shown = shown if deep else [e for e in shown if "/" not in e["path"].removeprefix(below).strip("/")]
            self.answer(200, json.dumps(shown).encode())
        elif path.startswith("/api/datasets/own/qa"):
            siblings = [{"rfilename": name} for name in FILES]
            self.answer(200, json.dumps({"id": "own/qa", "sha": COMMIT, "siblings": siblings, "tags": []}).encode())
        elif name in FILES:
            self.send_file(FILES[name])
        else:
            self.answer(404, b"{}", **{"X-Error-Code": "EntryNotFound"})

    def send_file(self, data: bytes) -> None:
        tag = f'"{hashlib.sha1(data).hexdigest()}"'
        span = self.headers.get("Range", "")
        if not span.startswith("bytes="):
            self.answer(200, data, ETag=tag, **{"Accept-Ranges": "bytes"})
            return
        start, _, end = span.removeprefix("bytes=").partition("-")
        first, last = int(start), min(int(end or len(data) - 1), len(data) - 1)
        self.answer(206, data[first : last + 1], ETag=tag, **{"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def entries() -> list[dict[str, Any]]:
    files = [
        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        for name, data in FILES.items()
    ]
    return [{"type": "directory", "path": "data", "size": 0, "oid": "e" * 40}, *files]


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


READ = """
import hashlib, json
from contextrl_data.pipeline.errors import UserError
from contextrl_data.pipeline.stage import Keep
from contextrl_data.stages.images.image_sets import ImageSets, ImageSetsConfig

columns = {"question": "query", "answer": "label", "licence": "license"}
try:
    stage = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": PATH, "columns": columns, "limit": LIMIT}]}))
    mark = stage.fingerprint()
    rows = [row for _, outcome in stage.items() for row in getattr(outcome, "rows", [])]
    hashes = [hashlib.sha256(row["image"]["bytes"]).hexdigest() for row in rows]
    told = [row["answer"] for row in rows], [row["licence"] for row in rows]
    print(json.dumps([mark, hashes, *told]))
except UserError as error:
    print("user error:", error)
"""


def read(endpoint: str, folder: Path, path: str = "own/qa", limit: int | None = None) -> str:
    script = READ.replace("PATH", repr(path)).replace("LIMIT", repr(limit))
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_rows_are_streamed_at_one_commit_with_their_bytes_unchanged(endpoint: str, tmp_path: Path) -> None:
    mark, hashes, answers, licences = json.loads(read(endpoint, tmp_path))
    assert mark == f"own/qa@{COMMIT}/None/train"
    assert hashes == [hashlib.sha256(row["image"]["bytes"]).hexdigest() for row in ROWS]
    assert answers == list(COLOURS)
    assert set(licences) == {"CC0-1.0"}


def test_no_more_is_read_than_asked_for(endpoint: str, tmp_path: Path) -> None:
    assert json.loads(read(endpoint, tmp_path, limit=2))[2] == list(COLOURS[:2])


def test_a_hub_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = read(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert told.startswith("user error: sets: the Hub did not give own/qa")


def test_a_hub_that_does_not_answer_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    told = read("http://127.0.0.1:1", tmp_path)
    assert told.startswith("user error: sets: the Hub did not give own/qa")
    assert "HF_ENDPOINT" in told
    assert len(told.splitlines()) == 1
