"""The record of images: what is noted is kept, and one that cannot be kept stops nobody but a budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.coding.image_record import hold, let_go, opened, record_file


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the record lies."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with opened("daemon") as images:
        hold(images, "first:1", "pulled")
    return record_file()


def full_disk(record: Path) -> None:
    record.with_name(f"{record.name}.part").symlink_to("/dev/full")


def part_in_the_way(record: Path) -> None:
    record.with_name(f"{record.name}.part").mkdir()


def lock_in_the_way(record: Path) -> None:
    record.with_suffix(".lock").unlink()
    record.with_suffix(".lock").mkdir()


def folder_in_the_way(record: Path) -> None:
    for file in record.parent.iterdir():
        file.unlink()
    record.parent.rmdir()
    record.parent.write_text("a file")


FAULTS: list[Callable[[Path], None]] = [full_disk, part_in_the_way, lock_in_the_way, folder_in_the_way]


def test_what_is_noted_is_kept() -> None:
    with opened("daemon") as images:
        assert images["first:1"].held()
        let_go(images, "first:1")
    with opened("daemon", must=True) as images:
        assert not images["first:1"].held()
    with opened("another") as images:
        assert images == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_record_that_cannot_be_written_stops_no_build(fault: Callable[[Path], None], record: Path) -> None:
    before = record.read_bytes()
    fault(record)
    with opened("daemon") as images:
        hold(images, "second:1", "built")
    assert not record.is_file() or record.read_bytes() == before


@pytest.mark.parametrize("fault", FAULTS)
def test_a_budget_needs_the_record(fault: Callable[[Path], None], record: Path) -> None:
    fault(record)
    with (
        pytest.raises(SetupError, match=r"cannot write .*images\.json: .* — .*XDG_STATE_HOME") as caught,
        opened("daemon", must=True) as images,
    ):
        hold(images, "second:1", "built")
    assert "\n" not in str(caught.value)


def test_a_fault_of_the_block_itself_is_no_fault_of_the_record() -> None:
    with pytest.raises(OSError, match="of the block"), opened("daemon"):
        raise OSError("of the block")
