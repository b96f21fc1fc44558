"""The journal survives being cut anywhere."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from contextrl_data.pipeline.journal import Journal, digest_of
from contextrl_data.pipeline.stage import Drop, Fail, Keep

OUTCOMES = [
    Keep([{"id": f"r{n}", "text": "ä\n" * n, "image": {"bytes": b"\x00\xff\n" * n}}]) if n % 3 else Drop("why")
    for n in range(8)
]


def write(path: Path) -> bytes:
    with Journal(path) as journal:
        for number, outcome in enumerate(OUTCOMES):
            journal.append(f"r{number}", f"d{number}", outcome)
    return path.read_bytes()


def test_outcomes_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert [journal.find(f"r{n}", f"d{n}") for n in range(8)] == OUTCOMES
        assert journal.find("r1", "other content") is None


def test_failures_are_not_kept(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append("a", "d", Fail("docker", "gone"))
        assert journal.find("a", "d") is None


@given(cut=st.integers(0, 2000), junk=st.binary(max_size=9))
def test_cut_anywhere_keeps_every_whole_line_and_goes_on(tmp_path_factory, cut: int, junk: bytes) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("journal") / "j"
    whole = write(path)
    cut = min(cut, len(whole))
    path.write_bytes(whole[:cut] + junk.replace(b"\n", b""))
    with Journal(path) as journal:
        survivors = whole[:cut].count(b"\n")
        found = [journal.find(f"r{n}", f"d{n}") for n in range(8)]
        assert found[:survivors] == OUTCOMES[:survivors]
        journal.append("new", "d", Drop("later"))
    with Journal(path) as journal:
        assert journal.find("new", "d") == Drop("later")
        assert [journal.find(f"r{n}", f"d{n}") for n in range(survivors)] == OUTCOMES[:survivors]


def test_the_digest_sees_every_change() -> None:
    row = {"id": "a", "messages": [{"role": "user", "content": "x"}], "resolved": None}
    assert digest_of(row) == digest_of(dict(reversed(row.items())))
    assert digest_of(row) != digest_of({**row, "resolved": False})
