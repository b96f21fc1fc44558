"""A registry on loopback that serves one tiny image by the distribution protocol, and counts what is asked of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
        elif name in self.server.blobs:
            self._answer(self.server.blobs[name], "application/octet-stream")
        else:
            body = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self._answer(json.dumps(body).encode(), "application/json", 404)

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
