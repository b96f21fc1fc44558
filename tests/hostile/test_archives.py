"""Archives and compressed files that unpack to far more than they weigh, or to somewhere else."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.coding import unpack as unpacking
from contextrl_data.stages.coding.unpack import unpack

GB = 1 << 30


def archive(path: Path, *members: tarfile.TarInfo, data: bytes = b"x") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if member.isreg():
                member.size = member.size or len(data)
                tar.addfile(member, io.BytesIO(data * member.size))
            else:
                tar.addfile(member)
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, size
    return found


ESCAPES = {
    "dots": [entry("pkg/../../out")],
    "absolute dots": [entry("/../out")],
    "a link out": [entry("pkg/a", tarfile.SYMTYPE, "../../out")],
    "an absolute link": [entry("pkg/a", tarfile.SYMTYPE, "/etc/passwd")],
    "a hard link out": [entry("pkg/a", tarfile.LNKTYPE, "../out")],
    "a file through a link": [entry("pkg/a", tarfile.SYMTYPE, ".."), entry("pkg/a/../../out")],
    "a device": [entry("pkg/null", tarfile.CHRTYPE)],
    "a pipe": [entry("pkg/pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("case", ESCAPES)
def test_an_archive_stays_in_its_folder(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    (tmp_path / "out").write_text("untouched")
    packed = archive(tmp_path / "pkg.tar.gz", *ESCAPES[case])
    with pytest.raises(InputError, match="cannot be unpacked") as caught:
        unpack(packed, folder)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out").read_text() == "untouched"
    assert not (tmp_path / "deep" / "out").exists()


def test_a_tar_bomb_is_told_by_its_headers_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte and a half of zeros weighs a megabyte and a half; the second file would pass the bound."""
    monkeypatch.setattr(unpacking, "LARGEST_SOURCE", 50 << 20)
    packed = tmp_path / "pkg.tar.gz"
    with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
        for name in ("pkg/a", "pkg/b"):
            tar.addfile(entry(name, size=40 << 20), io.BytesIO(bytes(40 << 20)))
    assert packed.stat().st_size < 1 << 20
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InputError, match="more than 50,000 files or 50 MiB"):
        unpack(packed, folder)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 40 << 20


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_FILES", 100)
    packed = archive(tmp_path / "pkg.tar.gz", *(entry(f"pkg/{number}") for number in range(101)))
    with pytest.raises(InputError, match="more than 100 files"):
        unpack(packed, tmp_path / "folder")


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9])
def test_an_archive_cut_short_is_one_line(share: float, tmp_path: Path) -> None:
    packed, rng = tmp_path / "pkg.tar.gz", random.Random(1)
    with tarfile.open(packed, "w:gz") as tar:
        tar.addfile(entry("pkg/a", size=50_000), io.BytesIO(rng.randbytes(50_000)))
    cut = packed.read_bytes()[: int(share * packed.stat().st_size)]
    for content in (cut, cut + rng.randbytes(1000), rng.randbytes(1000)):
        packed.write_bytes(content)
        with pytest.raises(InputError, match="cannot be unpacked"):
            unpack(packed, tmp_path / "folder")


PEAK = """\
import json, resource, sys
from contextrl_data.pipeline.errors import ContextRLError
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    found = [getattr(one, "reason", type(one).__name__) for _, one in
             Trajectories(TrajectoriesConfig(path=sys.argv[1], max_row_bytes=int(sys.argv[2]))).items()]
except ContextRLError as error:
    found = [type(error).__name__, str(error)]
print(json.dumps({"found": found, "kib": peak() - before}))
"""


def read_apart(path: Path, max_row_bytes: int) -> tuple[list[str], float]:
    """What a process of its own made of a file, and by how many MiB its peak memory grew."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), str(max_row_bytes)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    return told["found"], told["kib"] / 1024


def zeros(path: Path, nbytes: int, head: bytes = b"", tail: bytes = b"") -> Path:
    """A zstd frame of so many zeros: some ten thousandths of that on the disk."""
    with path.open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as out:
        out.write(head)
        block = b"0" * (4 << 20)
        for _ in range(nbytes // len(block)):
            out.write(block)
        out.write(tail)
    return path


@pytest.mark.parametrize(
    "nbytes", [256 << 20, pytest.param(10 * GB, marks=pytest.mark.campaign)], ids=["256 MB", "10 GB"]
)
@pytest.mark.parametrize("name", ["run.traj.json.zst", "rows.jsonl.zst"])
def test_a_zstd_bomb_is_a_row_with_its_reason(name: str, nbytes: int, tmp_path: Path) -> None:
    path = zeros(tmp_path / name, nbytes, b'{"messages": "', b'"}')
    assert path.stat().st_size < nbytes // 1000
    found, mib = read_apart(path, 16 << 20)
    assert found == ["row is too large"]
    assert mib < 150  # the bound of 16 MiB, copies of it, and the libraries themselves


def test_a_frame_that_asks_for_a_large_window_gets_none(tmp_path: Path) -> None:
    """A header of a few bytes can ask the decoder for 2 GiB."""
    options = zstandard.ZstdCompressionParameters(window_log=30, compression_level=1)
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(_streamed(options))
    assert zstandard.get_frame_parameters(path.read_bytes()).window_size == 1 << 30
    found, mib = read_apart(path, 16 << 20)
    assert found == ["file is damaged"]
    assert mib < 150


def _streamed(options: zstandard.ZstdCompressionParameters) -> bytes:
    """Streamed, so that the frame keeps the window that was asked for."""
    out = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=options).stream_writer(out, closefd=False) as writer:
        writer.write(b'{"messages": []}\n' * 100)
    return out.getvalue()


def test_gzip_is_no_kind_of_trajectory_file_and_unpacks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes(64 << 20))
    found, mib = read_apart(path, 16 << 20)
    assert found[0] == "InputError"
    assert "no kind of trajectory file" in found[1]
    assert mib < 100
