"""Sets on disk in every form -> questions, with the bytes of their pictures unchanged."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("PIL")

from bad_pictures import animated, bomb, broken, encoded, picture, turned

from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.images.image_sets import ImageSets, ImageSetsConfig


def outcomes(*read: dict[str, Any], **settings: Any) -> dict[str, Keep | Drop]:
    found = list(ImageSets(ImageSetsConfig.model_validate({"read": list(read), **settings})).items())
    assert len({row_id for row_id, _ in found}) == len(found), "ids are unique"
    assert all(isinstance(outcome, Keep | Drop) for _, outcome in found)
    return {row_id: outcome for row_id, outcome in found if isinstance(outcome, Keep | Drop)}


def kept(found: dict[str, Keep | Drop]) -> list[Row]:
    return [row for outcome in found.values() if isinstance(outcome, Keep) for row in outcome.rows]


def test_parquet_jsonl_and_a_folder_give_the_same_questions(tmp_path: Path) -> None:
    rng = random.Random(1)
    data = [encoded(picture(rng), form) for form in ("PNG", "JPEG", "WEBP")]
    rows = [{"id": str(n), "question": "What is it?", "answer": str(n)} for n in range(3)]
    table = [{**row, "image": {"bytes": one, "path": None}} for row, one in zip(rows, data, strict=True)]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "set.parquet")
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, one in enumerate(data):
        (folder / f"{number}.png").write_bytes(one)  # two of the three have another format than their name says
    lines = [json.dumps({**row, "file_name": f"{number}.png"}) for number, row in enumerate(rows)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    first = kept(outcomes({"path": str(tmp_path / "set.parquet"), "name": "s", "licence": "MIT", "domain": "chart"}))
    second = kept(outcomes({"path": str(folder), "name": "s", "licence": "MIT", "domain": "chart"}))
    assert [row["image"]["bytes"] for row in first] == data == [row["image"]["bytes"] for row in second]
    for one, other in zip(first, second, strict=True):
        differing = {key for key in one if one[key] != other[key]}
        assert differing == {"image", "source"}, "the path of a picture and the name of its set"
        assert (one["domain"], one["licence"]) == ("chart", "MIT")
    assert len({row["question_group"] for row in first}) == 1


def test_a_column_map_reads_a_set_with_other_names(tmp_path: Path) -> None:
    row = {"imgs": [encoded(picture(random.Random(2)))], "query": "Which?", "label": 1, "options": ["a", "b"]}
    row |= {"meta": {"topic": "plots"}, "license": "CC-BY-4.0"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "x.parquet")
    columns = {"question": "query", "answer": "label", "image": "imgs", "choices": "options", "licence": "license"}
    columns["domain"] = "meta.topic"
    spec = {"path": str(tmp_path / "x.parquet"), "columns": columns, "domains": {"plots": "chart"}}
    [found] = kept(outcomes(spec))
    assert (found["answer"], found["choices"], found["domain"]) == ("b", ["a", "b"], "chart")
    assert found["licence"] == "CC-BY-4.0"


def test_one_picture_with_two_questions_has_one_identity(tmp_path: Path) -> None:
    data = encoded(picture(random.Random(3)))
    rows = [{"question": f"Question {n}?", "answer": "a", "image": data} for n in (1, 2)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    found = kept(outcomes({"path": str(tmp_path / "x.parquet")}))
    assert len({row["image_id"] for row in found}) == 1
    assert len({row["id"] for row in found}) == 2


def test_every_bad_row_is_dropped_with_its_reason(tmp_path: Path) -> None:
    rng = random.Random(4)
    good = encoded(picture(rng))
    pictures = [b"", bomb(), turned(rng), animated(rng), encoded(picture(rng, size=(1, 1))), good[:80]]
    rows = [{"id": "x", "question": "Q?", "answer": "a", "image": one} for one in pictures]
    rows += [
        {"id": "x", "question": "Q?", "answer": None, "image": good},
        {"id": "x", "question": "Q?", "answer": "a", "image": good},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    found = outcomes({"path": str(tmp_path / "x.parquet"), "name": "s"})
    reasons = Counter(outcome.reason for outcome in found.values() if isinstance(outcome, Drop))
    assert reasons == {
        "image is empty": 1,
        "image has too many pixels": 1,
        "image is turned by EXIF": 1,
        "image is animated": 1,
        "image is too small": 1,
        "image cannot be decoded": 1,
        "no answer": 1,
    }
    assert len(kept(found)) == 1


def test_two_thousand_bad_rows_and_the_run_goes_on(tmp_path: Path) -> None:
    rng = random.Random(6)
    good = encoded(picture(rng))
    answers = ["a", "", "2", None]
    rows = [
        {"question": rng.choice(["Q?", "Q?", None]), "answer": rng.choice(answers), "image": broken(rng)}
        for _ in range(2000)
    ]
    rows.append({"question": "Q?", "answer": "a", "image": good})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    found = outcomes({"path": str(tmp_path / "x.parquet"), "name": "s"})
    assert len(found) == 2001
    assert found["s-2000"] == Keep(kept({"": found["s-2000"]}))
    assert kept(found)[-1]["image"]["bytes"] == good


def test_lines_that_are_no_rows_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"question": \n[1]\n\n\xff\xfe\n"text"\n')
    found = outcomes({"path": str(tmp_path / "x.jsonl")})
    assert list(found.values()) == [Drop("row cannot be read")] * 4


def test_a_set_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file or folder here") as caught:
        outcomes({"path": str(tmp_path / "nothing.parquet")})
    assert caught.value.remedy
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no data file"):
        outcomes({"path": str(tmp_path / "empty")})
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(InputError, match="cannot read"):
        outcomes({"path": str(tmp_path / "x.parquet")})
    with pytest.raises(ConfigError, match="twice"):
        ImageSetsConfig.model_validate({"read": [{"path": "a/b"}, {"path": "a/b"}]})


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"question": "Q?"}')
    stage = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": str(file)}]}))
    before = stage.fingerprint()
    assert stage.fingerprint() == before
    file.write_text('{"question": "R?"}')
    assert stage.fingerprint() != before
