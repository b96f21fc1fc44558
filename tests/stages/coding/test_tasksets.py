"""SWE-style task sets as they are published, and the ways in which a file can be wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from swebench.harness.utils import make_test_spec

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.coding.tasksets import TaskSetConfig, TaskSets
from contextrl_data.stages.coding.tasksets_columns import reverse
from contextrl_data.stages.rows import TASK

SAMPLES = Path(__file__).parents[3] / "data" / "samples" / "tasksets"
PATTERN = "example/{docker_id}:latest"
BUGGY = (
    'def area(width, height):\n    """Area of a rectangle."""\n    if width < 0 or height < 0:\n'
    "        raise ValueError('negative')\n    return width + height\n"
)
CLEAN = BUGGY.replace("width + height", "width * height")


def read(path: Path, **more: Any) -> list[tuple[str, Any]]:
    return list(TaskSets(TaskSetConfig(path=str(path), **more)).items())


def tasks(path: Path, **more: Any) -> list[Row]:
    return [outcome.rows[0] for _, outcome in read(path, **more) if isinstance(outcome, Keep)]


def write(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sample(name: str) -> Row:
    row: Row = json.loads((SAMPLES / f"{name}.jsonl").read_text().splitlines()[0])
    return row


@pytest.mark.parametrize("name", ["swe_bench", "swe_smith", "swe_gym", "swe_rebench"])
def test_every_kind_of_set_gives_the_same_task(name: str, tmp_path: Path) -> None:
    (task,) = tasks(SAMPLES / f"{name}.jsonl", image=PATTERN)
    pa.Table.from_pylist([task], schema=TASK)
    assert set(task) == set(TASK.names)
    assert task["repo"] == "shapes-org/shapes"
    assert task["fail_to_pass"] == ["tests/test_area.py::test_product"]
    assert task["pass_to_pass"] == ["tests/test_area.py::test_area"]
    assert task["file"] == "shapes/area.py"
    target = tmp_path / "shapes" / "area.py"
    target.parent.mkdir()
    target.write_text(CLEAN if task["setup_patch"] else BUGGY)
    for patch in (task["setup_patch"], task["patch"]):
        if patch:
            subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=tmp_path, check=True)
    assert target.read_text() == CLEAN
    spec = make_test_spec(
        {
            "instance_id": task["id"],
            "image": task["image"],
            "repo": task["repo"],
            "version": "",
            "FAIL_TO_PASS": task["fail_to_pass"],
            "PASS_TO_PASS": task["pass_to_pass"],
            "log_parser": task["log_parser"],
            "eval_type": "pass_and_fail",
            "eval_script": task["eval_script"],
        }
    )
    assert spec.instance_id == task["id"]


def test_a_smith_row_is_a_bug_in_a_clean_image() -> None:
    (task,) = tasks(SAMPLES / "swe_smith.jsonl")
    assert task["setup_patch"] == sample("swe_smith")["patch"]
    assert "+    return width * height" in task["patch"]
    assert task["commit"] == "1fd52536"
    assert task["strategy"] == "combine_file"


def test_a_row_brings_its_own_test_command_and_licence() -> None:
    (task,) = tasks(SAMPLES / "swe_rebench.jsonl")
    assert "pytest --no-header -rA --tb=line --color=no -p no:cacheprovider tests/test_area.py" in task["eval_script"]
    assert task["licence"] == "MIT License"
    assert task["image"] == "swerebench/sweb.eval.x86_64.shapes-org_1776_shapes-56"


def test_an_image_is_made_from_the_pattern() -> None:
    (task,) = tasks(SAMPLES / "swe_bench.jsonl", image=PATTERN)
    assert task["image"] == "example/shapes-org_1776_shapes-12:latest"


def test_faulty_rows_end_with_a_reason() -> None:
    reasons = {key: outcome.reason for key, outcome in read(SAMPLES / "swe_rebench.jsonl") if isinstance(outcome, Drop)}
    assert reasons == {
        "shapes-org__shapes-57": "gold patch does not parse",
        "shapes-org__shapes-58": "no failing tests",
    }


def test_an_id_counts_once(tmp_path: Path) -> None:
    row = sample("swe_smith")
    found = read(write(tmp_path, row, row))
    assert [type(outcome) for _, outcome in found] == [Keep, Drop]
    assert len({key for key, _ in found}) == 2


def test_parquet_and_a_json_list_read_as_lines_do(tmp_path: Path) -> None:
    row = sample("swe_rebench")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "set.parquet")
    (tmp_path / "set.json").write_text(json.dumps([row]))
    line = write(tmp_path, row)
    expected = tasks(line)
    for other in ("set.parquet", "set.json"):
        found = tasks(tmp_path / other)
        assert [{**task, "source": ""} for task in found] == [{**task, "source": ""} for task in expected]


def test_columns_can_be_named(tmp_path: Path) -> None:
    row = sample("swe_smith")
    row["must_pass"] = row.pop("FAIL_TO_PASS")
    path = write(tmp_path, row)
    with pytest.raises(InputError, match=r"no column for fail_to_pass \(looked for FAIL_TO_PASS.*must_pass"):
        read(path)
    assert tasks(path, columns={"fail_to_pass": "must_pass"})[0]["fail_to_pass"]
    with pytest.raises(InputError, match=r"columns\.failing is no field"):
        read(path, columns={"failing": "must_pass"})


def test_the_fingerprint_is_the_content(tmp_path: Path) -> None:
    path = write(tmp_path, sample("swe_smith"))
    first = TaskSets(TaskSetConfig(path=str(path))).fingerprint()
    assert first == TaskSets(TaskSetConfig(path=str(path))).fingerprint()
    write(tmp_path, sample("swe_gym"))
    assert first != TaskSets(TaskSetConfig(path=str(path))).fingerprint()
    hub = TaskSetConfig(path="owner/tasks", revision="abc")
    assert "abc" in TaskSets(hub).fingerprint()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.jsonl", b"", "holds no rows"),
        ("set.jsonl", b'{"instance_id": "a"}\n{oops\n', "no column for problem_statement"),
        ("set.jsonl", b"{oops\n", "line 1, is no JSON"),
        ("set.jsonl", b"[1]", "row 1, is int, not an object"),
        ("set.parquet", b"PAR1", "cannot be read as parquet"),
        ("set.csv", b"a,b\n", "is no task file"),
    ],
)
def test_what_is_no_task_file_is_said_in_one_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_set_without_revision_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.jsonl is no file"):
        read(tmp_path / "nothing.jsonl")
    with pytest.raises(InputError, match="no revision"):
        read(Path("owner/tasks"))
    with pytest.raises(InputError, match="no column for image"):
        read(SAMPLES / "swe_gym.jsonl")


def test_reverse_takes_back_files_that_come_go_and_lack_a_last_newline(tmp_path: Path) -> None:
    def git(*args: str, data: bytes = b"") -> bytes:
        identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        return subprocess.run(
            ["git", *identity, *args], cwd=tmp_path, input=data, check=True, capture_output=True
        ).stdout

    git("init", "-q")
    (tmp_path / "gone.py").write_text("x = 1\n--- y\n")
    (tmp_path / "kept.py").write_text("".join(f"line {n}\n" for n in range(40)) + "last")
    git("add", "-A")
    git("commit", "-qm", "one")
    (tmp_path / "gone.py").unlink()
    text = (tmp_path / "kept.py").read_text()
    (tmp_path / "kept.py").write_text(text.replace("line 3\n", "line 3\n-- more\n++ more\n").replace("last", "end\n"))
    (tmp_path / "new.py").write_text("z = 2")
    git("add", "-A")
    patch = git("diff", "--cached").decode()
    git("commit", "-qm", "two")
    git("apply", "--index", "-", data=reverse(patch).encode())
    assert git("diff", "--cached", "HEAD~1") == b""
    assert reverse(reverse(patch)) == patch
