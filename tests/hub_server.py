"""A Hub on loopback: the calls that `huggingface_hub` makes to publish and to load a data set, or to push a model,
with faults on demand.

Spoken: who am I, create, info, tree, paths, refs, YAML check, pre-upload, LFS batch (basic and multipart) with verify, commit
as NDJSON, tags, and downloads. What the real Hub refuses is refused: foreign names, read tokens, commits on a parent that has
moved or that name content which was never uploaded.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from hub_calls import Calls, Refused
from hub_state import ATTRIBUTES, READ_ONLY, READ_WRITE, Fault, Repo, Stored, git_oid


class HubServer(ThreadingHTTPServer):
    """Users, repositories, stored content, a log of calls, and the faults still to come."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.users = {
            READ_WRITE: {"name": "me", "orgs": ["my-org"], "role": "write"},
            READ_ONLY: {"name": "me", "orgs": ["my-org"], "role": "read"},
        }
        self.repos: dict[str, Repo] = {}
        self.content: dict[str, bytes] = {}  # by git oid, and for LFS by sha256
        self.parts: dict[str, dict[int, bytes]] = {}
        self.multipart_above = 1 << 40
        self.chunk = 1 << 20
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str, int]] = []
        self.received: dict[str, int] = {}  # bytes of bodies of PUT, by path
        self.lock = threading.RLock()
        self.ended = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: cut connections are what these tests are about."""

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def called(self, method: str, path: str) -> list[int]:
        """Statuses of the calls that match, in order; 0 for those without an answer."""
        return [status for verb, where, status in self.calls if verb == method and re.search(path, where)]

    def fault_of(self, method: str, path: str) -> Fault | None:
        """The fault that this call meets, used up by one."""
        with self.lock:
            for fault in self.faults:
                if fault.method == method and re.search(fault.path, path) and fault.times > 0:
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def put_regular(self, data: bytes) -> Stored:
        """Store a small file."""
        oid = git_oid(data)
        self.content[oid] = data
        return Stored(oid, len(data))

    def create(self, repo: str, private: bool = True, files: dict[str, bytes] | None = None) -> Repo:
        """Make a repository, as somebody else would have."""
        made = self.repos[repo] = Repo(private)
        made.commit("initial commit", {".gitattributes": self.put_regular(ATTRIBUTES)})
        if files:
            made.commit("files", {**made.commits[-1].files, **{n: self.put_regular(d) for n, d in files.items()}})
        return made


class _Handler(Calls):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:  # noqa: N802
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        fault = self.server.fault_of(self.command, self.path)
        if fault and fault.kind in ("cut", "cut body"):
            if fault.kind == "cut body":
                self.rfile.read(int(self.headers.get("Content-Length") or 2) // 2)
            self._cut()
            return
        body = self._body()
        if fault and fault.kind == "hang":
            self.server.ended.wait(60)
            self._cut()
            return
        if fault and fault.kind == "status":
            self._answer(fault.status, {"error": "a fault of the test"}, fault.headers)
            return
        try:
            with self.server.lock:
                status, found, headers = self.route(body)
        except Refused as no:
            headers = {"X-Error-Message": str(no), **({"X-Error-Code": no.code} if no.code else {})}
            status, found = no.status, {"error": str(no)}
        if fault and fault.kind == "lost":
            self._cut()
            return
        self._answer(status, found, headers)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _cut(self) -> None:
        self.server.calls.append((self.command, self.path, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, found: Any, headers: dict[str, str]) -> None:
        self.server.calls.append((self.command, self.path, status))
        data = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def serving() -> Iterator[HubServer]:
    """Run the Hub in a thread."""
    with HubServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something has happened on the server.

    Raises:
        TimeoutError: it does not happen.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)
