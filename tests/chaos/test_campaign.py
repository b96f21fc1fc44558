"""The campaign in a short form: each kind of fault on each build, once or twice. `make chaos` runs the long one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import toy_pipeline as toy

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from chaos.__main__ import campaign
from chaos.campaign import KINDS, table
from chaos.compare import differences, left_over, wrong_labels
from chaos.episode import Build, Episode
from contextrl_data.pipeline.plan import keys_of

SEED = 20260617


def check(wanted: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:  # a daemon's sockets allow no long names
        lines = campaign(Path(folder), 1, SEED, 2, wanted)
    with capsys.disabled():
        print(f"\n{table(lines)}")
    assert [told for line in lines for told in line.told] == []
    able = [line for line in lines if not line.left_out]
    assert able, [line.left_out for line in lines]
    assert {line.fault for line in lines} <= {kind.name for kind in KINDS}
    assert sum(line.faults for line in able) >= len(able) // 2, "most runs must have met their faults"


def test_image_builds_survive_every_kind_of_fault(capsys: pytest.CaptureFixture[str]) -> None:
    check(["images", "images-hub"], capsys)


@pytest.mark.campaign
@pytest.mark.timeout(1800)  # 727 s beside much other work
@pytest.mark.docker
@pytest.mark.usefixtures("base_image")
def test_coding_builds_survive_every_kind_of_fault(capsys: pytest.CaptureFixture[str]) -> None:
    check(["coding", "coding-served"], capsys)


def test_what_the_campaign_looks_for_it_finds(tmp_path: Path) -> None:
    steps = toy.steps(count=300)
    toy.run(tmp_path / "runs", steps)
    build = Build("toy", [], tmp_path / "runs", keys_of(steps), {step.stage.name: step.stage for step in steps})
    episode = Episode(build, tmp_path / "episode")
    shutil.copytree(build.runs, episode.runs)
    assert (differences(build, episode.runs), wrong_labels(episode), left_over(episode, {}, {})) == ([], [], [])

    calls = episode.runs / build.stage_folder("dear") / "calls"
    next(calls.iterdir()).rename(calls / "vm-1-abcdef.jsonl")
    assert differences(build, episode.runs) == [], "a ledger of calls has another name in every process"
    shutil.rmtree(calls)
    assert differences(build, episode.runs) == [str(calls.relative_to(episode.runs))]

    folder = episode.runs / build.stage_folder("split")
    ledger = pq.read_table(folder / "ledger-00000.parquet")
    dropped = pc.equal(ledger["status"], "dropped")
    failed = ledger.set_column(1, "status", pc.if_else(dropped, "failed", ledger["status"]))
    pq.write_table(failed, folder / "ledger-00000.parquet")
    assert wrong_labels(episode) == [], "a row that failed has no label"
    assert f"{folder.name}/ledger-00000.parquet" in differences(build, episode.runs)
    kept = ledger.set_column(1, "status", pa.array(["dropped"] * len(ledger)))
    pq.write_table(kept, folder / "ledger-00000.parquet")
    assert len(wrong_labels(episode)) == pc.sum(pc.invert(dropped)).as_py()

    (folder / "data-00001.parquet.part").touch()
    (episode.folder / "replies").mkdir()
    (episode.folder / "replies" / ".part-x1").touch()
    (episode.tmp / "left").touch()
    assert left_over(episode, {"volume": set()}, {"volume": {"v"}}) == [
        "volume v",
        "temporary file left",
        "half a file .part-x1 in replies",
        f"half a file data-00001.parquet.part in {folder.name}",
    ]
