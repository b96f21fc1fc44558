"""`contextrl-data audit`: what it prints, writes and exits with, on our own folders and on others."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from audit_sets import text_rows, write_set
from factories import pair_rows
from rich.console import Console
from typer.testing import CliRunner

from contextrl_data.pipeline.cli import app
from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.audit.command import audit_command
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.card import read_provenance
from contextrl_data.stages.export import write_dataset
from contextrl_data.stages.rows import PAIR


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]):  # type: ignore[no-untyped-def]
        return ({column: row[column] for column in columns} for row in self)


def ours(folder: Path, licence: str | None = None) -> Path:
    """A dataset folder as the export writes it; whole groups in one split."""
    splits = ("train", "train", "validation", "probe")
    rows = RowList(
        {**row, "split": splits[number % 4], "licence": licence if licence is not None else row["licence"]}
        for number in range(24)
        for row in pair_rows(number, group=f"repo::src::function_{number}")
    )
    write_dataset(folder, rows, PAIR)
    return folder


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


def test_a_build_folder_stands_for_its_dataset(tmp_path: Path) -> None:
    folder = ours(tmp_path / "coding-0123" / "dataset")
    view = tmp_path / "coding-0123" / "dataset" / "views" / "trl" / "data" / "train-00000-of-00001.parquet"
    view.parent.mkdir(parents=True)
    view.write_bytes(next(folder.glob("data/train-*")).read_bytes())
    code, told = run(str(tmp_path / "coding-0123"), "--write-card")
    assert (code, "48 rows" in told) == (0, True)
    assert read_provenance(folder)["audit"]["rows"] == 48


def test_strict_exits_3_and_names_what_failed(tmp_path: Path) -> None:
    folder = str(write_set(tmp_path / "pairs", text_rows(1, 200, plant="longer")))
    code, told = run(folder)
    assert code == 0
    assert "FAILED: longer" in told
    assert run(folder, "--strict")[0] == 3
    assert run(folder, "--strict", "--set", "ignore=[longer, context_words]")[0] == 0
    clean = str(write_set(tmp_path / "clean", text_rows(1, 200)))
    code, told = run(clean, "--strict")
    assert (code, "audit: passed" in told) == (0, True)


def test_the_json_file_holds_every_measurement(tmp_path: Path) -> None:
    folder = str(write_set(tmp_path / "pairs", text_rows(1, 100, plant="licence")))
    run(folder, "--json", str(tmp_path / "deep" / "audit.json"))
    record = json.loads((tmp_path / "deep" / "audit.json").read_text())
    assert record["reasons"] == ["licences missing"]
    assert {"first", "longer", "context_words"} <= {one["name"] for one in record["guesses"]}
    assert {one["split"] for one in record["split_guesses"]} == {"train", "validation", "probe"}
    first = next(one for one in record["guesses"] if one["name"] == "first")
    assert first["low"] <= first["accuracy"] <= first["high"]
    found = record["findings"][0]
    assert (found["count"], len(found["examples"])) == (100, 5)


def test_the_card_holds_the_audit_and_twice_is_the_same(tmp_path: Path) -> None:
    folder = ours(tmp_path / "dataset")
    quiet = Console(file=io.StringIO())
    assert audit_command(str(folder), AuditConfig(workers=1), quiet, card=True) == 0
    first = (folder / "README.md").read_bytes(), (folder / "provenance.json").read_bytes()
    text = first[0].decode()
    assert "## Audit" in text
    assert "| context_words | reads the contexts' words, without the answer |" in text
    assert read_provenance(folder)["audit"]["rows"] == 48
    audit_command(str(folder), AuditConfig(workers=1), quiet, card=True)
    assert ((folder / "README.md").read_bytes(), (folder / "provenance.json").read_bytes()) == first


def test_views_beside_the_pairs_are_not_counted_again(tmp_path: Path) -> None:
    folder = ours(tmp_path / "dataset")
    (folder / "views" / "verl").mkdir(parents=True)
    for file in sorted((folder / "data").glob("*.parquet")):
        (folder / "views" / "verl" / file.name).write_bytes(file.read_bytes())
    _, told = run(str(folder))
    assert told.startswith("48 rows")
    next((folder / "data").glob("probe-*")).unlink()
    with pytest.raises(InputError, match=r"probe-.* is missing, and provenance.json lists it"):
        run(str(folder))


def test_our_own_rows_name_their_missing_licence_in_the_card(tmp_path: Path) -> None:
    folder = ours(tmp_path / "dataset", licence="")
    assert audit_command(str(folder), AuditConfig(), Console(file=io.StringIO()), card=True, strict=True) == 3
    assert "licences missing: 48" in (folder / "README.md").read_text()


def test_a_card_is_only_written_into_a_folder_of_ours(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "pairs", text_rows(1, 40))
    with pytest.raises(InputError, match="--write-card needs a dataset folder"):
        audit_command(str(folder), AuditConfig(), Console(file=io.StringIO()), card=True)


def test_ids_from_the_data_are_text_in_the_card(tmp_path: Path) -> None:
    folder = ours(tmp_path / "dataset")
    rows = text_rows(1, 40, plant="licence")
    for row in rows:
        row["id"] = "<script>alert(1)</script>[bold]"
    console = Console(file=io.StringIO(), width=400)
    other = write_set(tmp_path / "pairs", rows)
    audit_command(str(other), AuditConfig(), console)
    assert "<script>alert(1)</script>[bold]" in console.file.getvalue()  # type: ignore[attr-defined]
    from contextrl_data.stages.audit.command import write_into_card
    from contextrl_data.stages.audit.run import audit_dataset

    write_into_card(folder, audit_dataset(str(other), AuditConfig()))
    assert "<script>" not in (folder / "README.md").read_text()
