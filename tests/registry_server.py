"""A registry on loopback that serves one tiny image by the distribution protocol, takes others, and counts what is asked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"


class Server(ThreadingHTTPServer):
    """Blobs by digest, and the image's one manifest."""

    daemon_threads = True

    def __init__(self, architecture: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        layer = _layer()
        root = {"type": "layers", "diff_ids": [_digest(layer)]}
        config = json.dumps({"architecture": architecture, "os": "linux", "config": {}, "rootfs": root}).encode()
        packed = gzip.compress(layer, mtime=0)
        self.blobs = {_digest(data): data for data in (config, packed)}
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
                "layers": [{"mediaType": LAYER, "size": len(packed), "digest": _digest(packed)}],
            }
        ).encode()
        self.asked: list[str] = []
        self.pushed: dict[str, tuple[str, bytes]] = {}
        """Path of a manifest -> its media type and itself."""
        self.parts: dict[str, bytes] = {}
        self.taken = 0
        """Blobs that were sent."""

    @property
    def host(self) -> str:
        """Where it listens, as image names begin; a daemon speaks plain HTTP to loopback."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        kind, name = self.path.rpartition("/")[::2]
        if self.path == "/v2/":
            self._answer(b"{}", "application/json")
        elif kind.endswith("/tiny/manifests"):
            self._answer(self.server.manifest, MANIFEST)
        elif self.path in self.server.pushed:
            media, manifest = self.server.pushed[self.path]
            self._answer(manifest, media)
        elif name in self.server.blobs:
            self._answer(self.server.blobs[name], "application/octet-stream")
        else:
            body = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self._answer(json.dumps(body).encode(), "application/json", 404)

    def do_POST(self) -> None:
        self._taken({"Location": f"{self.path}{os.urandom(8).hex()}"}, 202)

    def do_PATCH(self) -> None:
        held = self.server.parts[self.path] = self.server.parts.get(self.path, b"") + self._body()
        self._taken({"Location": self.path, "Range": f"0-{max(0, len(held) - 1)}"}, 202)

    def do_PUT(self) -> None:
        path, _, digest = self.path.partition("?digest=")
        body = self.server.parts.pop(path, b"") + self._body()
        if digest:
            assert _digest(body) == unquote(digest), "a blob is not what its digest says"
            self.server.blobs[_digest(body)] = body
            self.server.taken += 1
        else:
            stored = self.headers["Content-Type"], body
            folder = path.rpartition("/")[0]
            self.server.pushed |= {path: stored, f"{folder}/{_digest(body)}": stored}
        self._taken({"Docker-Content-Digest": _digest(body), "Location": path}, 201)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _taken(self, headers: dict[str, str], status: int) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", _digest(body))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(architecture: str) -> Iterator[Server]:
    """Run the registry in a thread."""
    with Server(architecture) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("hello"), io.BytesIO())
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
