"""Output frames and archives, cut and forged in every way."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.streams import Demultiplexer, pack, unpack_one

FRAMES = st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=40)), max_size=12)


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(frames=FRAMES, cuts=st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_frames_come_apart_however_they_are_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    wire = b"".join(frame(*each) for each in frames)
    parts, place, turn = Demultiplexer(), 0, 0
    out = b""
    while place < len(wire):
        size = cuts[turn % len(cuts)]
        out += parts.feed(wire[place : place + size])
        place, turn = place + size, turn + 1
    assert out == b"".join(payload for _, payload in frames)


def test_a_part_of_a_payload_is_handed_on_at_once() -> None:
    assert Demultiplexer().feed(frame(1, b"abcdef")[:-2]) == b"abcd"


@pytest.mark.parametrize("wire", [b"\x09\0\0\0\0\0\0\x01x", b"HTTP/1.1"])
def test_what_is_no_frame_is_a_fault_of_docker(wire: bytes) -> None:
    with pytest.raises(RowFailure, match="damaged") as caught:
        Demultiplexer().feed(wire)
    assert caught.value.boundary == "docker"


def archive(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as out:
        for info, data in members:
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@given(data=st.binary(max_size=3000), cut=st.integers(1, 700))
def test_a_file_comes_back_byte_for_byte(data: bytes, cut: int) -> None:
    packed = pack("name", data)
    chunks = [packed[place : place + cut] for place in range(0, len(packed), cut)]
    assert unpack_one(chunks, "/some/name", 3000) == data


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (archive((member("f", tarfile.SYMTYPE, "/etc/passwd"), b"")), "not one regular file"),
        (archive((member("f", tarfile.LNKTYPE, "/etc/passwd"), b"")), "not one regular file"),
        (archive((member("f", tarfile.CHRTYPE), b"")), "not one regular file"),
        (archive((member("f", tarfile.FIFOTYPE), b"")), "not one regular file"),
        (archive((member("f", tarfile.DIRTYPE), b"")), "not one regular file"),
        (archive((member("f"), b"1"), (member("g"), b"2")), "not one regular file"),
        (archive((member("../f"), b"1")), "leads elsewhere"),
        (archive((member("/f"), b"1")), "leads elsewhere"),
        (archive((member("f"), b"x" * 101)), "larger than 100"),
        (archive((member("f"), b"x" * 50_000)), "larger than 100"),
        (archive((member("f"), b"x" * 90), mode="w:gz"), "not an archive"),
        (b"", "not"),
    ],
    ids=lambda value: value if isinstance(value, str) else "archive",  # bytes of gzip hold the time of day
)
def test_everything_but_one_small_regular_file_is_refused(packed: bytes, why: str) -> None:
    with pytest.raises(RowFailure, match=why):
        unpack_one([packed], "/a/f", 100)


def test_an_endless_archive_is_not_read_to_its_end() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"\0" * 4096

    with pytest.raises(RowFailure, match="larger than 100"):
        unpack_one(chunks(), "/a/f", 100)
    assert taken < 10
