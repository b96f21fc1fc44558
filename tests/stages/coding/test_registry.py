"""Pinned files from an index, over real HTTP and from a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.stages.coding.registry import PipSettings, Registry

CONTENT = b"the archive"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Index(ThreadingHTTPServer):
    """A package index on the loopback; counts what it is asked for."""

    def __init__(self, style: str) -> None:
        self.asked: list[tuple[str, str]] = []
        self.style = style
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        if self.path == "/simple/some-thing/":
            link = f"../../files/some_thing-1.0.tar.gz#sha256={DIGEST}"
            html = f'<html><a data-x="&gt;=3" href="{link}">some_thing-1.0.tar.gz</a></html>'
            page = html if self.server.style == "html" else json.dumps({"files": [{"url": link}]})
            self._answer(200, page.encode())
        elif self.path == "/files/some_thing-1.0.tar.gz":
            self._answer(200, CONTENT)
        elif self.path == "/simple/busy/":
            self._answer(503, b"")
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(params=["html", "json"])
def index(request: pytest.FixtureRequest) -> Iterator[Index]:
    with Index(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def registry(tmp_path: Path, *indexes: str, **more: tuple[str, ...]) -> Registry:
    return Registry(tmp_path / "cache", PipSettings(indexes=indexes, **more))  # type: ignore[arg-type]


def test_a_file_is_fetched_once(index: Index, tmp_path: Path) -> None:
    source = registry(tmp_path, index.url)
    path = source.fetch("Some.Thing", "some_thing-1.0.tar.gz", DIGEST)
    assert path.read_bytes() == CONTENT
    asked = len(index.asked)
    assert source.fetch("Some.Thing", "some_thing-1.0.tar.gz", DIGEST) == path
    assert len(index.asked) == asked
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_damaged_cache_is_mended(index: Index, tmp_path: Path) -> None:
    source = registry(tmp_path, index.url)
    path = source.fetch("some-thing", "some_thing-1.0.tar.gz", DIGEST)
    path.write_bytes(b"half of it")
    assert source.fetch("some-thing", "some_thing-1.0.tar.gz", DIGEST).read_bytes() == CONTENT


def test_another_hash_is_refused_and_not_kept(index: Index, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        registry(tmp_path, index.url).fetch("some-thing", "some_thing-1.0.tar.gz", "0" * 64)
    for part in ("some_thing-1.0.tar.gz of some-thing", "0" * 64, DIGEST, "check the pin"):
        assert part in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_the_login_of_an_index_is_sent_and_never_shown(index: Index, tmp_path: Path) -> None:
    url = index.url.replace("http://", "http://me:s3cret@")
    registry(tmp_path, url).fetch("some-thing", "some_thing-1.0.tar.gz", DIGEST)
    assert index.asked[0][1].startswith("Basic ")
    with pytest.raises(SetupError) as caught:
        registry(tmp_path, url).fetch("unknown", "unknown-1.tar.gz", DIGEST)
    assert "s3cret" not in str(caught.value)
    assert "404" in str(caught.value)


def test_a_busy_index_is_asked_again_and_the_next_one_too(index: Index, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    with pytest.raises(SetupError, match="503"):
        registry(tmp_path, index.url).fetch("busy", "busy-1.tar.gz", DIGEST)
    assert len(index.asked) == 3
    (folder / "busy-1.tar.gz").write_bytes(CONTENT)
    found = registry(tmp_path, index.url, find_links=(str(folder),)).fetch("busy", "busy-1.tar.gz", DIGEST)
    assert found.read_bytes() == CONTENT


def test_pip_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple/")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://example.org/more https://example.org/last")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    settings = PipSettings.read()
    assert settings.indexes == (
        "https://example.org/simple",
        "https://example.org/more",
        "https://example.org/last",
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert "https://example.org/simple" not in PipSettings.read().indexes
