"""Every published format gives the same trajectories; what a source does not say stays null."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Drop, Keep, Row
from contextrl_data.stages.coding.readers.tasks import TasksConfig
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig

SAMPLES = Path(__file__).parents[4] / "data/samples/trajectories"
REAL = Path(__file__).parents[5] / "shared/data/trajectories"


def read(path: Path, **config: Any) -> tuple[list[Row], list[str]]:
    """Rows that are kept, and reasons of those that are not."""
    rows: list[Row] = []
    reasons: list[str] = []
    stage = Trajectories(TrajectoriesConfig(path=str(path), **config))
    for _, outcome in stage.items():  # noqa: PERF102 - a source, not a dict
        if isinstance(outcome, Keep):
            rows.extend(outcome.rows)
        elif isinstance(outcome, Drop):
            reasons.append(outcome.reason)
    return rows, reasons


TASKS = TasksConfig(path=str(SAMPLES / "messages_only_tasks.jsonl"))
FORMATS: dict[str, dict[str, Any]] = {
    "mini_v1": {},
    "mini_v2.traj.json": {},
    "mini_v2_responses.traj.json": {},
    "samples__shapes-2.traj": {},
    "openhands.jsonl": {},
    "nebius.jsonl": {},
    "swe_smith": {},
    "messages_only.jsonl.zst": {"tasks": TASKS},
}
RESOLVED = {"openhands.jsonl": {True, False}, "nebius.jsonl": {True, False}, "swe_smith": {True}}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_gives_the_normal_form(name: str) -> None:
    rows, _ = read(SAMPLES / name, **FORMATS[name])

    assert rows
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        text = "\n".join(message["content"] for message in row["messages"])
        assert row["repo"] == "samples/shapes"
        assert row["patch"].startswith("diff --git a/shapes/plane.py b/shapes/plane.py\n")
        assert "\r" not in row["patch"]
        assert "I expected 10" in row["problem_statement"] or "too short" in row["problem_statement"]
        assert "Consider the following" not in row["problem_statement"]
        assert "cat shapes/plane.py" in text
        assert "sed -i" in text or "<parameter=command>str_replace</parameter>" in text
        assert {message["role"] for message in row["messages"]} <= {"system", "user", "assistant", "tool"}
    assert {row["resolved"] for row in rows} == RESOLVED.get(name, {None})
    assert all((row["status"] is None) == (row["resolved"] is None) for row in rows)


def test_all_formats_of_a_run_carry_the_same_patch() -> None:
    patches: dict[str, set[str]] = {}
    for name, config in FORMATS.items():
        for row in read(SAMPLES / name, **config)[0]:
            patches.setdefault("return width" if "width * height" in row["patch"] else "return 2", set()).add(
                row["patch"]
            )
    assert {name: len(found) for name, found in patches.items()} == {"return width": 1, "return 2": 1}


def test_shell_calls_of_tools_become_fenced_blocks_in_every_dialect() -> None:
    for name in ("mini_v1", "mini_v2.traj.json", "samples__shapes-2.traj", "swe_smith", "openhands.jsonl"):
        row = read(SAMPLES / name)[0][0]
        assert any("```bash\ncat shapes/plane.py\n```" in message["content"] for message in row["messages"]), name


def test_splits_of_one_run_are_read_once() -> None:
    rows, reasons = read(SAMPLES / "swe_smith")
    assert len(rows) == 2
    assert reasons == ["same run in another format"] * 2


def test_one_traj_id_with_another_patch_is_another_run(tmp_path: Path) -> None:
    raw = [orjson.loads(line) for line in (SAMPLES / "swe_smith/tool.jsonl").read_bytes().splitlines()]
    other = {**raw[0], "patch": raw[0]["patch"].replace("+    return", "+    return 0 + ")}
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, [raw[0], other, raw[0]])))
    rows, reasons = read(path)
    assert len({row["id"] for row in rows}) == 2
    assert rows[1]["id"].startswith(rows[0]["id"] + ".")
    assert reasons == ["duplicate trajectory"]
    assert read(path)[0] == rows


def test_the_patch_of_a_task_set_is_reversed_unless_it_is_the_fix(tmp_path: Path) -> None:
    reversed_, _ = read(SAMPLES / "messages_only.jsonl.zst", tasks=TASKS)
    as_is, _ = read(SAMPLES / "messages_only.jsonl.zst", tasks=TASKS.model_copy(update={"patch": "fix"}))
    assert "+    return width * height" in reversed_[0]["patch"]
    assert "-    return width * height" in as_is[0]["patch"]
    unknown, _ = read(SAMPLES / "messages_only.jsonl.zst")
    assert [row["patch"] for row in unknown] == [None] * 4
    assert [(row["repo"], row["commit"]) for row in unknown] == [("samples/shapes", "0a1b2c3d")] * 4


def test_parquet_gives_the_same_rows_as_json_lines(tmp_path: Path) -> None:
    raw = [orjson.loads(line) for line in (SAMPLES / "nebius.jsonl").read_bytes().splitlines()]
    pq.write_table(pa.Table.from_pylist(raw), tmp_path / "nebius.parquet")
    rows = read(tmp_path / "nebius.parquet", source="x")[0]
    assert rows == read(SAMPLES / "nebius.jsonl", source="x")[0]


def test_columns_can_be_named(tmp_path: Path) -> None:
    raw = orjson.loads((SAMPLES / "mini_v1/samples__shapes-1.traj.json").read_bytes())
    row = {"talk": raw["messages"], "diff": raw["info"]["submission"], "task": "samples__shapes-1"}
    path = tmp_path / "own.jsonl"
    path.write_bytes(orjson.dumps(row))
    with pytest.raises(InputError, match="talk, diff, task"):
        read(path)
    mapped = {"messages": "talk", "patch": "diff", "instance_id": "task"}
    rows, _ = read(path, columns=mapped, model="m", licence="MIT", source="mine")
    assert [rows[0][name] for name in ("instance_id", "model", "licence", "source")] == [
        "samples__shapes-1",
        "m",
        "MIT",
        "mine",
    ]
    assert rows[0]["patch"] == raw["info"]["submission"]


def test_the_stage_writes_every_row_into_its_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(SAMPLES / "swe_smith", folder)
    stage = Trajectories(TrajectoriesConfig(path=str(folder)))
    manifest = Runner(RunSettings(root=tmp_path / "runs")).run([Step(stage)])["trajectories"].manifest
    assert (manifest.rows_in, manifest.kept, manifest.dropped) == (4, 2, {"same run in another format": 2})
    before = stage.fingerprint()
    (folder / "xml.jsonl").unlink()
    assert Trajectories(stage.config).fingerprint() != before


def test_a_limit_reads_no_further() -> None:
    rows, reasons = read(SAMPLES / "swe_smith", limit=3)
    assert (len(rows), len(reasons)) == (2, 1)


@pytest.mark.skipif(not REAL.exists(), reason="the real inputs lie beside the checkout of the developers")
def test_real_sets_are_read_and_benchmarks_refused() -> None:
    kept = {"nebius_swe_agent_rows": 5, "swe_gym_openhands_rows": 5, "swe_smith_rows": 2}
    for name, count in kept.items():
        assert len(read(REAL / f"{name}.jsonl.zst")[0]) == count
    rows, reasons = read(REAL / "mini_swe_agent_swebench_verified.jsonl.zst")
    assert (rows, set(reasons), len(reasons)) == ([], {"benchmark instance"}, 264)
    rows, _ = read(REAL / "mini_swe_agent_swebench_verified.jsonl.zst", benchmarks={"allow_benchmarks": True})
    assert len(rows) == 264
    assert all(row["source"].endswith("[benchmark]") for row in rows)
    assert read(REAL / "swe_smith_rows.jsonl.zst")[1] == ["patch of another repository"] * 3
