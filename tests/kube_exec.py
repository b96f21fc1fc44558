"""The exec part of `kube_server`: a WebSocket (RFC 6455, one frame a message) over one command in a Docker container."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import struct
from http.server import BaseHTTPRequestHandler
from typing import Any

PROTOCOL = "v4.channel.k8s.io"
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


def run(
    handler: BaseHTTPRequestHandler, docker: Any, container: str, argv: list[str], stdin: bool, cut: int | None
) -> None:
    """Upgrade the connection, run the command, end with its status. `cut`: hang up after so many bytes of output."""
    offered = [each.strip() for each in handler.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if handler.headers.get("Upgrade", "").lower() != "websocket" or PROTOCOL not in offered:
        handler.send_error(400, "unable to upgrade")
        return
    key = handler.headers["Sec-WebSocket-Key"]
    handler.send_response(101, "Switching Protocols")
    handler.send_header("Upgrade", "websocket")
    handler.send_header("Connection", "Upgrade")
    accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
    handler.send_header("Sec-WebSocket-Accept", accept)
    handler.send_header("Sec-WebSocket-Protocol", PROTOCOL)
    handler.end_headers()
    for channel in (1, 2, 3):
        _send(handler, bytes([channel]))  # a real server opens its channels with empty frames
    exec_id = docker.api.exec_create(container, argv, stdin=stdin)["Id"]
    answer = docker.api.exec_start(exec_id, socket=True)
    inner = getattr(answer, "_sock", answer)
    try:
        whole = _carry(handler, inner, _early(answer, inner), cut)
    finally:
        answer._response.close()
    if whole is None:
        handler.connection.close()
        return
    _send(handler, b"\x03" + json.dumps(_status(docker, exec_id, whole)).encode())
    _send(handler, struct.pack(">H", 1000), CLOSE)


def _early(answer: Any, inner: socket.socket) -> bytes:
    """What Docker sent together with the header of its answer."""
    reader = answer._response.raw._fp.fp
    inner.setblocking(False)
    try:
        held = reader.peek()
        return bytes(reader.read1(len(held))) if held else b""
    finally:
        inner.setblocking(True)


def _carry(handler: Any, inner: socket.socket, early: bytes, cut: int | None) -> bytes | None:
    """Carry bytes both ways until the command's output ends; the end of that output, or None where the client left."""
    pending, sent, tail = bytearray(), 0, b""
    while True:
        if early or handler.connection.pending():
            ready = [inner] if early else [handler.connection]
        else:
            ready, _, _ = select.select([handler.connection, inner], [], [])
        if handler.connection in ready:
            kind, data = _receive(handler)
            if kind in (None, CLOSE):
                return None
            if kind == PING:
                _send(handler, data, PONG)
                handler.server.cluster.pings += 1
            if kind == BINARY and data[:1] == b"\x00":
                inner.sendall(data[1:])
        if inner in ready:
            chunk, early = early or inner.recv(16384), b""
            if not chunk:
                return tail
            pending += chunk
            while len(pending) >= 8:
                size = int.from_bytes(pending[4:8], "big")
                if len(pending) < 8 + size:
                    break
                stream, payload = pending[0], bytes(pending[8 : 8 + size])
                del pending[: 8 + size]
                sent, tail = sent + size, (tail + payload)[-2000:]
                if cut is not None and sent > cut:
                    return None
                _send(handler, bytes([stream]) + payload)


def _status(docker: Any, exec_id: str, tail: bytes) -> dict[str, Any]:
    try:
        code = docker.api.exec_inspect(exec_id)["ExitCode"]
    except Exception:
        code = 137  # the container is gone, and the command with it
    said = tail.decode("utf-8", "replace").strip()
    if code in (126, 127) and said.startswith("OCI runtime exec failed"):
        return {
            "status": "Failure",
            "reason": "InternalError",
            "message": f"Internal error occurred: {said}",
            "code": 500,
        }
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    cause = {"reason": "ExitCode", "message": str(code)}
    told = f"command terminated with non-zero exit code: error executing command, exit code {code}"
    return {"status": "Failure", "reason": "NonZeroExitCode", "message": told, "details": {"causes": [cause]}}


def _send(handler: Any, data: bytes, kind: int = BINARY) -> None:
    size = len(data)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else b""
    handler.connection.sendall(bytes([0x80 | kind]) + (length or b"\x7f" + struct.pack(">Q", size)) + data)


def _receive(handler: Any) -> tuple[int | None, bytes]:
    head = _exactly(handler, 2)
    if head is None:
        return None, b""
    size = head[1] & 0x7F
    if size >= 126:
        more = _exactly(handler, 2 if size == 126 else 8)
        size = int.from_bytes(more or b"", "big")
    mask = _exactly(handler, 4) or b"\0\0\0\0"
    data = _exactly(handler, size) or b""
    return head[0] & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


def _exactly(handler: Any, size: int) -> bytes | None:
    found = b""
    while len(found) < size:
        try:
            chunk = handler.connection.recv(size - len(found))
        except OSError:
            return None
        if not chunk:
            return None
        found += chunk
    return found
