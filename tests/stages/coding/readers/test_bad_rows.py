"""Damaged input is data: thousands of generated bad rows, no crash, every one in the ledger."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Drop, Fail, Keep, Outcome
from contextrl_data.pipeline.store import table_of
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig
from contextrl_data.stages.rows import TRAJECTORY

SAMPLES = Path(__file__).parents[4] / "data/samples/trajectories"
GOOD = json.loads((SAMPLES / "mini_v1/samples__shapes-1.traj.json").read_text()) | {"instance_id": "samples__shapes-1"}
TALK = GOOD["messages"]


def outcomes(path: Path, **config: Any) -> list[tuple[str, Outcome]]:
    return list(Trajectories(TrajectoriesConfig(path=str(path), **config)).items())


def reasons(path: Path, **config: Any) -> list[str]:
    return [outcome.reason if isinstance(outcome, Drop) else "kept" for _, outcome in outcomes(path, **config)]


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


# Text as damaged sources have it: NUL bytes, lone surrogates, tags, fences, diffs.
pieces = st.sampled_from(
    ["\0", "\ud800", "\udc00x", "é", "\r\n", "```bash\n", "<function=bash>", "{", "}", "<pr_description>", "VALID"]
) | st.sampled_from(
    ["<parameter=command>", "diff --git a/x b/x\n", "@@ -1 +1 @@\n", "--- a/x\n+++ b/x\n", "sed -i s/a/b/ x", "\u2028"]
)
texts = st.lists(pieces | st.text(max_size=6), max_size=5).map("".join)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
names = st.sampled_from(
    [
        "messages",
        "info",
        "instance_id",
        "patch",
        "resolved",
        "traj_id",
        "trajectory",
        "history",
        "target",
        "tools",
        "generated_patch",
        "run_id",
        "test_result",
        "model",
        "attempt",
        "trajectory_format",
        "repo",
        "id",
        "replay_config",
    ]
)
roles = st.sampled_from(["user", "assistant", "tool", "system", "ai", "exit", "USER", "oracle", 7, None, ["user"], {}])
calls = st.lists(
    st.fixed_dictionaries({"function": st.fixed_dictionaries({"name": values, "arguments": values})}) | values,
    max_size=2,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": roles, "content": values}, optional={"tool_calls": calls, "text": texts, "output": values}
    )
    | values,
    max_size=4,
)
talks = messages | messages.map(json.dumps) | messages.map(lambda more: [*TALK, *more]) | values
keys = st.lists(names, min_size=2, max_size=5, unique=True)
EXAMPLES = 140
seen: list[int] = []


def damaged(talk: list[Any], value: list[Any], columns: list[list[str]], cuts: list[int]) -> list[str]:
    """Every talk with every value under every set of columns: whole, and cut short."""
    rows = [
        json.dumps(dict.fromkeys(names, other) | {names[0]: one, "messages": one})
        for one, other, names in itertools.product(talk, value, columns)
    ]
    return rows + [row[: cuts[place % 3]] for place, row in enumerate(rows)]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    talk=st.lists(talks, min_size=3, max_size=3),
    value=st.lists(values, min_size=3, max_size=3),
    columns=st.lists(keys, min_size=3, max_size=3),
    cuts=st.lists(st.integers(1, 60), min_size=3, max_size=3),
)
def check_bad_rows(path: Path, talk: list[Any], value: list[Any], columns: list[list[str]], cuts: list[int]) -> None:
    bad = damaged(talk, value, columns, cuts)
    path.write_text("\n".join([json.dumps(GOOD), *bad, json.dumps(GOOD | {"instance_id": "samples__shapes-9"})]))
    found = outcomes(path)
    # Blank lines are no rows; every other line is in the ledger once, under an id of its own.
    expected = 2 + sum(bool(line.strip()) for line in bad)
    assert len(found) == expected
    assert len({place for place, _ in found}) == expected
    kept = [row for _, outcome in found if isinstance(outcome, Keep) for row in outcome.rows]
    assert {row["instance_id"] for row in kept} >= {"samples__shapes-1", "samples__shapes-9"}
    assert len({row["id"] for row in kept}) == len(kept)
    assert table_of(kept, TRAJECTORY, "test").num_rows == len(kept)  # Arrow takes every text that is left
    seen.append(expected - 2)


def test_thousands_of_bad_rows_are_all_accounted_for(tmp_path: Path) -> None:
    seen.clear()
    check_bad_rows(tmp_path / "bad.jsonl")
    assert sum(seen) >= 5000


def test_a_defect_of_a_reader_is_charged_to_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: Any) -> str:
        raise ZeroDivisionError("defect")

    monkeypatch.setattr("contextrl_data.stages.coding.readers.trajectories.problem_statement", defect)
    [(place, outcome)] = outcomes(lines(tmp_path / "rows.jsonl", GOOD))
    assert outcome == Fail("reader", "rows.jsonl:1: ZeroDivisionError: defect")
    assert place == "rows.jsonl:1"


MANY = 50_000
HOSTILE = {
    "calls that never close": "<function=bash><parameter=command>" * MANY,
    "issues that never end": "<pr_description><issue>ISSUE:\n" * MANY,
    "a line of sed": "sed perl open( echo " * MANY,
    "quotes": "'\"`" * MANY,
    "redirections": "echo > " * MANY,
    "blank space": "git " + " " * MANY + "\n" * MANY,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_read_in_linear_time(case: str, tmp_path: Path) -> None:
    """Any of these would take hours where a pattern searches the rest of the text again at every match."""
    text = HOSTILE[case]
    talk = [{"role": "user", "content": text}, {"role": "assistant", "content": text}, *TALK]
    patch = (
        "diff --git a/shapes/plane.py"
        + " b/shapes/plane.py" * 20_000
        + "\n"
        + "--- a/x\n+++ b/x\n@@ -1 +1 @@\n" * 20_000
    )
    path = lines(
        tmp_path / "rows.jsonl", good(messages=talk), good(messages=talk, patch=patch), good(instance_id="_" * MANY)
    )
    assert reasons(path)[0] == "kept"
    assert reasons(path)[2] == "instance id is too long"
    never = [message | {"content": text} for message in TALK]
    assert reasons(lines(path, good(messages=never, patch="")))


def good(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


CASES: dict[str, tuple[Any, str]] = {
    "null messages": (good(messages=None), "no messages"),
    "messages are text": (good(messages="hello"), "row is not JSON"),
    "messages are a number": (good(messages=3), "messages are not a list"),
    "empty messages": (good(messages=[]), "no assistant message"),
    "a message that is text": (good(messages=["hello"]), "message is not a mapping"),
    "an unknown role": (good(messages=[*TALK, {"role": "oracle", "content": "x"}]), "message with an unknown role"),
    "content of another kind": (good(messages=[*TALK, {"role": "user", "content": 5}]), "message content is not text"),
    "never edits": (good(messages=TALK[:4]), "messages never edit"),
    "too large": (good(messages=[*TALK, {"role": "user", "content": "x" * 300_000}]), "trajectory is too large"),
    "patch is prose": (good(patch="I changed the file."), "patch is not a diff"),
    "patch is a list": (good(patch=["diff"]), "patch is not text"),
    "patch of another repository": (
        good(
            patch="diff --git a/lib/other.py b/lib/other.py\n--- a/lib/other.py\n+++ b/lib/other.py\n@@ -1 +1 @@\n-a\n+b\n"
        ),
        "patch of another repository",
    ),
    "no instance id": (good(instance_id=None), "no instance id"),
    "half a line": (json.dumps(GOOD)[:200], "row is not JSON"),
    "a list": ("[1, 2]", "row is not a mapping"),
    "no column that is known": ({"a": 1}, "columns of no known format"),
    "the same again": (GOOD, "duplicate trajectory"),
    "a long line": (good(messages="x" * 700_000), "row is too large"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_row_has_its_reason_and_the_run_goes_on(case: str, tmp_path: Path) -> None:
    row, reason = CASES[case]
    path = lines(tmp_path / "rows.jsonl", GOOD, row, good(instance_id="samples__shapes-2"))
    assert reasons(path, max_chars=250_000, max_row_bytes=600_000) == ["kept", reason, "kept"]


@pytest.mark.parametrize(
    ("patch", "kept"),
    [
        (
            "diff --git a/shapes/plane.py b/shapes/plane.py\nindex 1..2\nBinary files a/shapes/plane.py and b/shapes/plane.py differ\n",
            True,
        ),
        (
            "diff --git a/shapes/plane.py b/shapes/flat.py\nsimilarity index 100%\nrename from shapes/plane.py\nrename to shapes/flat.py\n",
            True,
        ),
        ("", True),
    ],
)
def test_odd_patches_are_kept_for_the_stage_that_reads_them(patch: str, kept: bool, tmp_path: Path) -> None:
    [(_, outcome)] = outcomes(lines(tmp_path / "rows.jsonl", good(patch=patch)))
    assert isinstance(outcome, Keep) is kept
    assert isinstance(outcome, Keep)
    assert outcome.rows[0]["patch"] == patch


def test_carriage_returns_of_a_terminal_go_and_those_of_a_file_stay(tmp_path: Path) -> None:
    patch = GOOD["info"]["submission"]
    of_file = patch.replace("height\n", "height\r\n")
    path = lines(tmp_path / "rows.jsonl", good(patch="\r\n" + patch.replace("\n", "\r\n")), good(patch=of_file))
    kept = [outcome.rows[0]["patch"] for _, outcome in outcomes(path) if isinstance(outcome, Keep)]
    assert kept == [patch, of_file]


def test_text_that_arrow_refuses_is_cleaned(tmp_path: Path) -> None:
    talk = [*TALK, {"role": "user", "content": "nul \0 half \ud83d whole \ud83d\ude00"}]
    [(_, outcome)] = outcomes(lines(tmp_path / "rows.jsonl", good(messages=talk)))
    assert isinstance(outcome, Keep)
    assert outcome.rows[0]["messages"][-1]["content"] == "nul \ufffd half \ufffd whole \U0001f600"


HUGE = 200_000_000


def test_a_message_of_200_megabytes_is_a_row_with_its_reason(tmp_path: Path) -> None:
    head, tail = (json.dumps(good(instance_id="huge", messages=[*TALK, {"role": "user", "content": "HERE"}]))).split(
        "HERE", 1
    )
    path = tmp_path / "rows.jsonl.zst"
    with zstandard.ZstdCompressor(level=1).stream_writer(path.open("wb")) as out:
        out.write(json.dumps(GOOD).encode() + b"\n" + head.encode())
        for _ in range(20):
            out.write(b"x" * (HUGE // 20))
        out.write(tail.encode() + b"\n" + json.dumps(good(instance_id="samples__shapes-2")).encode())
    assert reasons(path) == ["kept", "row is too large", "kept"]  # never held whole
    assert reasons(path, max_row_bytes=HUGE * 2) == ["kept", "trajectory is too large", "kept"]

    rows = [{"instance_id": f"samples__shapes-{n}", "messages": TALK} for n in range(3)]
    rows[1]["messages"] = [*TALK, {"role": "user", "content": "x" * HUGE}]
    huge = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), huge, use_dictionary=False, write_statistics=False)
    assert reasons(tmp_path / "rows.parquet") == ["kept", "trajectory is too large", "kept"]


def test_ids_that_repeat_with_other_content_are_told_apart_by_it(tmp_path: Path) -> None:
    rows = [good(traj_id="run", messages=[*TALK, {"role": "user", "content": text}]) for text in ("one", "two", "one")]
    found = outcomes(lines(tmp_path / "rows.jsonl", *rows))
    first, second = (outcome.rows[0]["id"] for _, outcome in found[:2] if isinstance(outcome, Keep))
    assert first != second
    assert found[2][1] == Drop("duplicate trajectory")
    again = outcomes(lines(tmp_path / "again.jsonl", *rows))
    assert [place for place, _ in again[:2]] == [first, second]


def test_a_cut_zst_file_loses_only_what_was_cut_off(tmp_path: Path) -> None:
    body = b"".join(orjson.dumps(good(instance_id=f"samples__shapes-{n}")) + b"\n" for n in range(2000))
    whole = zstandard.ZstdCompressor(write_checksum=True).compress(body)
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(whole)
    assert reasons(path) == ["kept"] * 2000
    path.write_bytes(whole[: len(whole) // 2])
    found = reasons(path)
    assert found[-1] == "file is cut short"
    assert 0 < len(found) < 2000
    assert set(found[:-1]) == {"kept"}
    path.write_bytes(whole[:-6])  # every row is there, the frame's end is not
    assert reasons(path)[-1] == "file is cut short"
    path.write_bytes(whole + whole)  # two frames, as `cat` joins them
    assert reasons(path).count("duplicate trajectory") == 2000


def test_a_damaged_zst_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    frames = [
        zstandard.ZstdCompressor(write_checksum=True).compress(
            orjson.dumps(good(instance_id=f"samples__shapes-{n}")) + b"\n"
        )
        for n in range(3)
    ]
    broken = bytearray(frames[2])
    broken[len(broken) // 2] ^= 0xFF
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(frames[0] + frames[1] + bytes(broken))
    assert reasons(path)[-1] == "file is damaged"


def test_parquet_with_bytes_that_are_no_utf8_loses_only_that_row(tmp_path: Path) -> None:
    rows = [
        {"instance_id": f"samples__shapes-{n}", "messages": TALK, "patch": GOOD["info"]["submission"]} for n in range(3)
    ]
    table = pa.Table.from_pylist(rows)
    bad = pa.array([b"samples__shapes-0", b"\xff\xfe", b"samples__shapes-2"]).cast(pa.binary()).view(pa.string())
    pq.write_table(table.set_column(0, "instance_id", bad), tmp_path / "rows.parquet")
    assert reasons(tmp_path / "rows.parquet") == ["kept", "row cannot be decoded", "kept"]


def test_a_damaged_run_in_a_folder_is_a_row_and_other_files_are_none(tmp_path: Path) -> None:
    for name in ("samples__shapes-1", "samples__shapes-2"):
        (tmp_path / f"{name}.traj.json").write_bytes((SAMPLES / f"mini_v1/{name}.traj.json").read_bytes())
    (tmp_path / "preds.json").write_text("{}")
    (tmp_path / "half.traj.json").write_text('{"messages": [')
    assert sorted(reasons(tmp_path)) == ["kept", "kept", "row is not JSON"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", b"\x89PNG\r\n\x1a\n\nmore\nof it", "is not JSON lines"),
        ("rows.jsonl.zst", b"plain text", "is not a zstd file"),
        ("rows.parquet", b"PAR1 but no more", "is not a whole parquet file"),
        ("run.traj", b"hello", "is not JSON"),
        ("rows.csv", b"a,b", "no kind of trajectory file"),
        ("rows.jsonl", b'{"question": 1, "answer": 2}', "question, answer"),
    ],
)
def test_a_file_of_the_wrong_kind_is_one_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        outcomes(path)
    assert message in str(caught.value)
    assert str(path) in caught.value.problem
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_an_empty_folder_and_a_missing_path_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no trajectory file"):
        outcomes(tmp_path)
    with pytest.raises(InputError, match="no file or folder here"):
        outcomes(tmp_path / "not there")
