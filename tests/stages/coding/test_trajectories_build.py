"""`build coding --config trajectories`, through the command line: runs that exist become a dataset."""

from __future__ import annotations

import gc
import json
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from chat_server import ChatServer
from judged_pairs import blocks_of, ticket_of
from openai_server import Answer, say

from contextrl_data.pipeline.build import BuildFolder, find_build
from contextrl_data.pipeline.cli import main
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.prompt import transcript

SAMPLES = Path(__file__).parents[3] / "data/samples/trajectories"
PAIRS = SAMPLES / "pairs.jsonl"
LINES = PAIRS.read_text().splitlines()

Build = Callable[..., tuple[int, str, str]]


@pytest.fixture
def build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refused_docker: str
) -> Build:
    """Runs the command, on a machine without Docker; returns its exit code and what it said."""

    def run(*settings: str, path: Path = PAIRS) -> tuple[int, str, str]:
        chosen = [f"trajectories.path={path}", f"run.root={tmp_path / 'runs'}", "run.workers=1", *settings]
        arguments = [part for setting in chosen for part in ("--set", setting)]
        monkeypatch.setattr(sys, "argv", ["contextrl-data", "build", "coding", "--config", "trajectories", *arguments])
        # The Docker SDK drops the socket of a refused connection unclosed: collect it here, not in some later test.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            with pytest.raises(SystemExit) as ended:
                main()
            gc.collect()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def latest(root: Path) -> BuildFolder:
    return find_build(root / "runs", None)


def exported(root: Path) -> list[Row]:
    files = sorted((latest(root).path / "dataset/data").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def funnel(root: Path) -> dict[str, Counter[str]]:
    return {row.stage: Counter({"in": row.rows_in, "kept": row.kept, **row.dropped}) for row in latest(root).funnel()}


def test_runs_become_a_dataset_without_docker_and_without_a_model(build: Build, tmp_path: Path) -> None:
    code, told, error = build()
    assert (code, error) == (0, "")
    pairs = exported(tmp_path)
    assert {pair["kind"] for pair in pairs} == {"sibling", "outcome"}
    assert set(Counter(pair["pair_id"] for pair in pairs).values()) == {2}
    assert all(pair["judge"] == "rules" and pair["repo"] == "samples/spans" for pair in pairs)
    for pair in pairs:
        if pair["kind"] == "sibling":
            assert [check["passed"] for check in pair["checks"]] == [None, None]  # never made, and said to be
    counts = funnel(tmp_path)
    assert counts["trajectories"] == {"in": 16, "kept": 16}
    assert "no pair waits for review" in told
    card = (latest(tmp_path).path / "dataset/README.md").read_text()
    assert "judged by fixed rules" in card
    assert "checks could not be run" in card


def knowing(root: Path, doubt: str = "") -> Callable[[dict[str, Any]], Answer]:
    """A model that reads well: it finds both answers and both contexts in what the build wrote before it asked."""
    seen: dict[str, tuple[str, str]] = {}

    def reply(asked: dict[str, Any]) -> Answer:
        for path in () if seen else sorted((root / "runs").glob("mask-*/data-*.parquet")):
            for row in pq.read_table(path).to_pylist():
                for side in (row["first"], row["second"]):
                    seen[transcript(side["full"])] = (side["patch"].strip(), row["group"])
        blocks = blocks_of(asked["messages"][1]["content"])
        shown = {name: seen[blocks[f"context {name}"]] for name in "XY"}
        right = next(name for name, (patch, _) in shown.items() if patch == blocks["answer 1"].strip())
        unsure = bool(doubt) and shown["X"][1].endswith(f"::{doubt}")
        vote = {
            "ticket": ticket_of(asked),
            "verdict": "UNCERTAIN" if unsure else "VALID",
            "reason": "evidence not shown" if unsure else "none",
            "answer_1_belongs_to": right,
        }
        return say(json.dumps(vote))

    return reply


def chat(server: ChatServer, root: Path, name: str = "judge") -> list[str]:
    return [
        f"{name}.chat.model=openai/reader",
        f"{name}.chat.api_base={server.url}",
        f"{name}.chat.cache_dir={root / 'cache'}",
    ]


def test_a_model_judges_within_its_budget_and_a_person_decides_the_rest(build: Build, tmp_path: Path) -> None:
    with ChatServer(knowing(tmp_path, doubt="gaps")) as server:
        asked = ["judge.kind=chat", *chat(server, tmp_path)]
        code, _, error = build(*asked, "judge.chat.max_calls=7")
        assert code == 2
        assert "judge: all 7 calls of this run are made" in error
        assert "Traceback" not in error
        assert len(server.requests) == 7

        code, told, _ = build(*asked)
        assert code == 0
        judged = funnel(tmp_path)["judge"]
        assert judged["in"] == judged["kept"] == 12
        assert len(server.requests) == 3 * 12  # three votes a pair, and none of them asked twice
        assert told.count("[already done]") == 6

        waiting = re.search(r"fill in `verdict` in (\S+review\.jsonl)", told)
        assert waiting
        entries = [json.loads(line) for line in Path(waiting[1]).read_text().splitlines()]
        assert {one["group"] for one in entries} == {"samples/spans::spans/day.py::gaps"}
        assert not [pair for pair in exported(tmp_path) if pair["symbol"] == "gaps"]
        entries[0]["verdict"], entries[1]["verdict"] = "VALID", "INVALID"
        assert Path(waiting[1]).parent == latest(tmp_path).path
        Path(waiting[1]).write_text("\n".join(map(json.dumps, entries)))

        code, told, _ = build(*asked)  # the same command finds the verdicts by itself
        assert code == 0
        reviewed = funnel(tmp_path)["review"]
        assert (reviewed["refused in review"], reviewed["waits for review"]) == (1, len(entries) - 2)
        assert {pair["judge"] for pair in exported(tmp_path)} <= {"openai/reader", "person"}
        assert len(server.requests) == 3 * 12


def test_pairs_that_a_model_always_gets_right_are_filtered(build: Build, tmp_path: Path) -> None:
    with ChatServer(lambda asked: say("A")) as server:
        code, _, _ = build(*chat(server, tmp_path, "difficulty"), "difficulty.samples=2", "difficulty.high=0.5")
    assert code == 2  # always "A" is right in one direction of each pair and wrong in the other: nothing is left
    assert funnel(tmp_path)["difficulty"] == {
        "in": 24,
        "kept": 0,
        "too easy for the model": 12,
        "too hard for the model": 12,
    }


def test_benchmark_runs_are_refused_or_said_to_be_there(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(
        "\n".join(LINES).replace("samples__spans", "psf__requests").replace("samples/spans", "psf/requests")
    )
    code, _, error = build(path=path)
    assert code == 2
    assert "nothing is left after trajectories (16 rows in: dropped 16 benchmark instance)" in error
    assert funnel(tmp_path)["trajectories"] == {"in": 16, "kept": 0, "benchmark instance": 16}
    code, _, _ = build("benchmarks.allow_benchmarks=true", path=path)
    assert code == 0
    card = (latest(tmp_path).path / "dataset/README.md").read_text()
    assert "`runs.jsonl [benchmark]` **(benchmark)**" in card
    assert "come from benchmarks and were let in by `allow_benchmarks: true`" in card


def changed(number: int, **values: Any) -> str:
    return json.dumps(json.loads(LINES[0]) | {"instance_id": f"samples__spans-{number}"} | values)


def test_bad_rows_end_with_their_reasons_and_the_others_go_on(build: Build, tmp_path: Path) -> None:
    good = json.loads(LINES[0])
    talk = good["messages"]
    path = tmp_path / "runs.jsonl"
    bad = {
        LINES[3][: len(LINES[3]) // 2]: "row is not JSON",
        changed(20, messages=None): "no messages",
        changed(21, messages=7): "messages are not a list",
        changed(22, messages=[{"role": "oracle", "content": "x"}]): "message with an unknown role",
        changed(
            23, messages=[*talk[:2], {"role": "assistant", "content": "I only look at spans/day.py."}]
        ): "messages never edit",
        changed(24, messages=[{**talk[0], "content": "x" * 50_000}, *talk[1:]]): "trajectory is too large",
        changed(25, patch="do this and that"): "patch is not a diff",
        changed(26, patch=good["patch"].replace("spans/day.py", "other/thing.py")): "patch of another repository",
        LINES[0]: "duplicate trajectory",
        "[1, 2]": "row is not a mapping",
    }
    odd = [
        changed(1, attempt=7, messages=[*talk, {"role": "user", "content": "other content, same id"}]),
        changed(30, messages=[*talk, {"role": "user", "content": "NUL \0 here"}]),
        changed(31, messages=[*talk, {"role": "user", "content": "half \ud800 here"}]),
        changed(32, patch=good["patch"].replace("\n", "\r\n")),
    ]
    path.write_text("\n".join([*LINES, *bad, *odd]))
    code, _, error = build("trajectories.max_chars=50000", path=path)
    assert (code, error) == (0, "")
    counts = funnel(tmp_path)["trajectories"]
    assert counts["in"] == len(LINES) + len(bad) + len(odd)
    assert counts["kept"] == len(LINES) + len(odd)
    assert {reason: counts[reason] for reason in bad.values()} == Counter(bad.values())


def test_patches_without_text_lines_end_where_their_edits_are_looked_for(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    head = "diff --git a/spans/day.py b/spans/{0}\n"
    binary = head.format("day.py") + "index 1..2 100644\nGIT binary patch\nliteral 3\nKc$@A\n\n"
    renamed = head.format("d.py") + "similarity index 100%\nrename from spans/day.py\nrename to spans/d.py\n"
    path.write_text("\n".join([*LINES, changed(40, patch=binary), changed(41, patch=renamed)]))
    code, _, _ = build(path=path)
    assert code == 0
    assert funnel(tmp_path)["locate"]["no text lines edited"] == 2


def test_a_cut_file_gives_what_it_holds_and_says_that_it_is_cut(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl.zst"
    frames = [zstandard.compress("\n".join([*LINES, ""]).encode()), zstandard.compress(b"".join([LINES[0].encode()]))]
    path.write_bytes(frames[0] + frames[1][:-40])
    code, _, _ = build(path=path)
    assert code == 0
    assert funnel(tmp_path)["trajectories"] == {"in": 17, "kept": 16, "file is cut short": 1}


WRONG: dict[str, tuple[bytes, str]] = {
    "picture.png": (b"\x89PNG", "is no kind of trajectory file"),
    "prose.jsonl": (b"Once upon a time\n" * 40, "is not JSON lines"),
    "other.jsonl": (b'{"question": "q", "answer": "a"}\n' * 40, "no known trajectory format has these columns"),
    "runs.jsonl.zst": (b"{}\n", "is not a zstd file"),
    "runs.parquet": (b"PAR1 and no more", "is not a whole parquet file"),
    "run.traj.json": (b"{", "is not JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_of_the_wrong_kind_is_one_line(name: str, build: Build, tmp_path: Path) -> None:
    data, told = WRONG[name]
    (tmp_path / name).write_bytes(data)
    code, _, error = build(path=tmp_path / name)
    assert code == 2
    assert told in error
    assert len(error.strip().splitlines()) == 1


def test_a_path_that_is_not_there_is_one_line(build: Build, tmp_path: Path) -> None:
    code, _, error = build(path=tmp_path / "nowhere")
    assert code == 2
    assert "is no file or folder here" in error
    assert len(error.strip().splitlines()) == 1
