"""The two byte formats that cross a container's border: the multiplexed output stream, and tar archives."""

from __future__ import annotations

import io
import posixpath
import tarfile
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

from contextrl_data.pipeline.errors import RowFailure

State: TypeAlias = Literal["ok", "timeout", "output_cap", "disk_cap"]
"""How a command ended: by itself, by its deadline, by printing too much, or by writing too much to the disk."""

HEADER = 8
SLACK = 2 * tarfile.RECORDSIZE
"""What an archive may hold beside its file, in bytes: headers, and what a `tar` fills its last record with."""
LAST_STREAM = 3  # stdin, stdout, stderr, and the daemon's own messages


class Demultiplexer:
    """Takes Docker's frames (one byte stream, three zeros, four bytes length, payload) apart, cut anywhere."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._left = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return the payload that `chunk` completes or continues; stdout and stderr in the order of arrival."""
        self._pending += chunk
        out = bytearray()
        while self._pending:
            if self._left == 0:
                if len(self._pending) < HEADER:
                    break
                self._left = self._frame_length()
                del self._pending[:HEADER]
                continue
            piece = self._pending[: self._left]
            del self._pending[: len(piece)]
            self._left -= len(piece)
            out += piece
        return bytes(out)

    def _frame_length(self) -> int:
        if self._pending[0] > LAST_STREAM or any(self._pending[1:4]):
            raise RowFailure("docker", "the output stream is damaged")
        return int.from_bytes(self._pending[4:HEADER], "big")


def read_output(sock: Any, deadline: float, limit_bytes: int) -> tuple[bytes, State]:
    """Collect a command's output until it ends, `deadline` (on the monotonic clock) passes or it wrote too much."""
    response: Any = getattr(sock, "_response", None)
    # Output that came along with the response's header waits in this reader: the bare socket would lose it.
    reader = response.raw._fp.fp if response is not None else None
    receive: Callable[[int], bytes] = getattr(reader, "read1", None) or getattr(sock, "recv", None) or sock.read
    plain: Any = getattr(sock, "_sock", sock)
    frames, output = Demultiplexer(), bytearray()
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return bytes(output), "timeout"
            plain.settimeout(left)
            try:
                chunk = receive(65536)
            except TimeoutError:
                return bytes(output), "timeout"
            if not chunk:
                return bytes(output), "ok"
            output += frames.feed(chunk)
            if len(output) > limit_bytes:
                return bytes(output[:limit_bytes]), "output_cap"
    finally:
        (response or sock).close()


def pack(name: str, data: bytes, mode: int = 0o644) -> bytes:
    """Return a tar archive with one regular file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add_file(archive, name, data, mode)
    return buffer.getvalue()


def pack_in_folder(folder: str, name: str, data: bytes) -> bytes:
    """Return a tar archive with a folder that everyone may write to, and one file in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(folder)
        info.type, info.mode = tarfile.DIRTYPE, 0o777
        archive.addfile(info)
        _add_file(archive, f"{folder}/{name}", data, 0o644)
    return buffer.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def unpack_one(chunks: Iterable[bytes], name: str, limit_bytes: int) -> bytes:
    """Return the one regular file that the archive must consist of.

    What comes out of a container was written by whatever ran in it: links, devices, folders, paths that climb and
    sizes past the limit are refused, and no more than the limit is ever held in memory.
    """
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) > limit_bytes + SLACK:
            raise _refused(name, f"larger than {limit_bytes} bytes")
    try:
        # Plain open() would decompress: a small archive could then grow without bound.
        with tarfile.open(fileobj=io.BytesIO(held), mode="r:") as archive:
            members = archive.getmembers()
            if len(members) != 1 or not members[0].isreg() or members[0].issparse():
                raise _refused(name, "not one regular file")
            member = members[0]
            if member.name != posixpath.basename(name):
                raise _refused(name, "its path leads elsewhere")
            if member.size > limit_bytes:
                raise _refused(name, f"larger than {limit_bytes} bytes")
            content = archive.extractfile(member)
            data = content.read(limit_bytes + 1) if content else b""
            if len(data) != member.size:
                raise _refused(name, "cut off")
            return data
    except tarfile.TarError as error:
        raise _refused(name, f"not an archive ({error})") from None


def _refused(name: str, why: str) -> RowFailure:
    return RowFailure("sandbox", f"{name} was not copied out: {why}")
