"""What somebody else's dataset may be: other columns, other files, or nothing that can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_sets import image_rows, text_rows, write_set
from datasets import Dataset, DatasetDict

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.pairs import as_text, shown_first
from contextrl_data.stages.audit.run import audit_dataset


def settings(*lines: str) -> AuditConfig:
    return configs.load(AuditConfig, None, ["workers=1", *lines])


def jsonl(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def foreign(count: int = 60) -> list[dict[str, object]]:
    """Pairs as somebody else names them: plain strings, the option as a letter, the answer inside a struct."""
    return [
        {
            "prompt": row["question"],
            "meta": {"patch": row["answer"], "license": "MIT"},
            "chosen": row["context_pos"][1]["content"],
            "rejected": row["context_neg"][1]["content"],
            "label": "A" if row["correct_first"] else "B",
        }
        for row in text_rows(1, count)
    ]


MAP = (
    "columns.question=prompt",
    "columns.answer=meta.patch",
    "columns.context_pos=chosen",
    "columns.context_neg=rejected",
    "columns.correct_first=label",
    "columns.licence=meta.license",
)


def test_anybodys_columns_are_mapped(tmp_path: Path) -> None:
    found = audit_dataset(jsonl(tmp_path / "train.jsonl", foreign()), settings(*MAP))
    assert found.passed, found.reasons
    assert found.splits == {"train": 60}
    assert {"first", "longer", "removed_lines", "context_words"} <= {one.name for one in found.guesses}


def test_every_way_to_store_a_dataset_reads_the_same(tmp_path: Path) -> None:
    rows = [{**row, "split": "train"} for row in text_rows(1, 60)]
    folder = write_set(tmp_path / "parquet", rows)
    Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(tmp_path / "dict")
    (tmp_path / "list.json").write_text(json.dumps(rows))
    names = [folder, next(folder.glob("*.parquet")), tmp_path / "saved", tmp_path / "dict", tmp_path / "list.json"]
    names.append(Path(jsonl(tmp_path / "train.jsonl", rows)))
    records = [{**audit_dataset(str(name), settings()).record(), "dataset": ""} for name in names]
    assert all(record == records[0] for record in records)
    assert records[0]["rows"] == 60


def test_images_may_be_paths_beside_the_dataset(tmp_path: Path) -> None:
    rows = image_rows(1, 30)
    for number, row in enumerate(rows):
        for side in ("pos", "neg"):
            (tmp_path / f"{number}-{side}.png").write_bytes(row[f"image_{side}"]["bytes"])
            row[f"image_{side}"] = f"{number}-{side}.png"
    found = audit_dataset(jsonl(tmp_path / "pairs.jsonl", rows), settings())
    assert found.kind == "image"
    assert "unreadable images" not in found.reasons


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ((), "has no column 'answer'; it has prompt, meta, chosen, rejected, label"),
        (MAP[:2], "neither context_pos and context_neg nor image_pos and image_neg"),
        ((*MAP, "columns.group=topics"), "no column 'topics' (columns.group)"),
        ((*MAP, "columns.context_pos=choosen"), "did you mean 'chosen'?"),
        ((*MAP, "columns.correct_first=prompt"), "which is no place of C+"),
        ((*MAP, "splits=[probe]"), "has no split probe; it has train"),
        (
            (*MAP, "columns.answer=meta.nothing"),
            "holds 30 rows, but none is a pair: the first lacks answer (column 'meta.nothing')",
        ),
        ((*MAP, "contamination.ids=[none.txt]"), "benchmark ids none.txt cannot be read"),
        ((*MAP, "contamination.texts=[none.txt]"), "benchmark texts none.txt cannot be read"),
    ],
)
def test_a_map_that_does_not_fit_is_one_line_with_the_remedy(lines: tuple[str, ...], told: str, tmp_path: Path) -> None:
    name = jsonl(tmp_path / "train.jsonl", foreign(30))
    with pytest.raises(InputError) as error:
        audit_dataset(name, settings(*lines))
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.remedy


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"columns\.awnser"):
        settings("columns.awnser=x")


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "damaged.jsonl").write_text('{"answer": 1}\n{"answer"')
    (tmp_path / "list.jsonl").write_text("[1, 2]\n")
    (tmp_path / "notes.txt").write_text("words")
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.Table.from_pylist(text_rows(1, 2)).slice(0, 0), tmp_path / "rowless.parquet")
    (tmp_path / "rowless.jsonl").write_text("\n")
    for name, told in [
        ("damaged.parquet", "cannot read"),
        ("damaged.jsonl", "is not JSON lines"),
        ("list.jsonl", "row 1 is a list"),
        ("notes.txt", "of a kind that is not read"),
        ("empty", "holds no .parquet and no .jsonl file"),
        ("rowless.parquet", "holds no row"),
        ("rowless.jsonl", "holds no row"),
        ("nothing-there.parquet", "there is no dataset"),
    ]:
        with pytest.raises(InputError) as error:
            audit_dataset(str(tmp_path / name), settings())
        assert told in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(("offline", "why"), [(False, "ConnectError"), (True, "OfflineModeIsEnabled")])
def test_a_hub_that_does_not_answer_is_one_line_at_once(
    offline: bool, why: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def waited(seconds: float) -> None:
        raise AssertionError(f"waited {seconds} s")

    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("time.sleep", waited)
    with pytest.raises(InputError, match=rf"the Hub does not answer \({why}\) — check the name, the network") as error:
        audit_dataset("nobody/pairs", settings())
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_parquet_file_cut_short_is_one_line(tmp_path: Path) -> None:
    file = next(write_set(tmp_path / "pairs", text_rows(1, 60)).glob("train*"))
    data = bytearray(file.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    file.write_bytes(data)
    with pytest.raises(InputError, match="cannot read"):
        audit_dataset(str(tmp_path / "pairs"), settings())


def test_embeddings_of_two_encoders_are_refused(tmp_path: Path) -> None:
    rows = [{**row, "embedding_pos": [1.0, 2.0], "embedding_neg": [1.0]} for row in text_rows(1, 30)]
    with pytest.raises(InputError, match="2 lengths, from 1 to 2"):
        audit_dataset(jsonl(tmp_path / "pairs.jsonl", rows), settings())


def test_texts_and_places_of_every_shape() -> None:
    assert as_text([{"role": "user", "content": "a"}, {"content": [{"type": "text", "text": "b"}]}, "c"]) == "a\nb\nc"
    assert as_text(None) == ""
    assert as_text(3.5) == "3.5"
    assert [shown_first(value, "x") for value in (True, "A", "(b)", 0, "1", None)] == [
        True,
        True,
        False,
        True,
        False,
        None,
    ]
