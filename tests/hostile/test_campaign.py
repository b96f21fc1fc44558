"""Fuzzed rows and pictures through every reader, by the product's own runner: no crash, and none unaccounted for.

For every file: rows kept + dropped + failed, counted back from the ledgers on disk, are the rows that were written; none
failed, for a failure of a reader is a defect that it caught. `make fuzz` runs the campaign and prints its table; the
default run is its short form, by other seeds.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

pytest.importorskip("PIL")

from audit_sets import text_rows
from report_pages import image_pair_rows
from spoiling import dumps, image, line, spoil

from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Row, Source
from contextrl_data.pipeline.store import count_ledger
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.run import audit_dataset
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig
from contextrl_data.stages.coding.tasksets import TaskSetConfig, TaskSets
from contextrl_data.stages.images.image_sets import ImageSets, ImageSetsConfig

SAMPLES = Path(__file__).parents[2] / "data/samples"
TRAJECTORIES = sorted(
    path.relative_to(SAMPLES / "trajectories").as_posix()
    for path in (SAMPLES / "trajectories").rglob("*")
    if path.name.endswith((".jsonl", ".zst", ".traj", ".traj.json")) and "pairs" not in path.name
    and "tasks" not in path.name
)  # fmt: skip
TASKSETS = ("swe_bench", "swe_gym", "swe_rebench", "swe_smith")
TOTALS: dict[str, list[int]] = {}
"""Kind of input -> rows in, kept, dropped."""


def sound(path: Path) -> list[Row]:
    """The rows of a sample."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    lines = [data] if path.name.endswith((".traj", ".traj.json")) else data.splitlines()
    return [orjson.loads(one) | {"instance_id": f"owner__repo-{n}"} for n, one in enumerate(lines)]


def lines_of(rng: random.Random, rows: list[Row], count: int) -> tuple[bytes, int]:
    """So many spoilt lines, and how many rows they make: what is spoilt may hold a line end, or be blank."""
    data = b"\n".join(line(rng, spoil(rng, rng.choice(rows))) for _ in range(count)) + b"\n"
    return data, sum(bool(one.strip()) for one in data.split(b"\n"))


def read(kind: str, source: Source[Any], rows: int, folder: Path) -> Finished:
    """Run a source; every row must be in the ledger, and none failed."""
    done = Runner(RunSettings(root=folder / "runs", retries=0)).run([Step(source)])[source.name]
    counts = count_ledger(done.folder)
    told = {
        status: sum(n for (one, _), n in counts.items() if one == status) for status in ("kept", "dropped", "failed")
    }
    assert told["kept"] + told["dropped"] + told["failed"] == done.manifest.rows_in == rows
    assert done.manifest.failed == {}
    ids = [row["id"] for row in done.rows.select(["id"])]
    assert len(set(ids)) == len(ids)
    note(kind, rows, told["kept"], told["dropped"])
    return done


def note(kind: str, rows: int, kept: int, dropped: int) -> None:
    assert kept + dropped == rows
    total = TOTALS.setdefault(kind, [0, 0, 0])
    for place, value in enumerate((rows, kept, dropped)):
        total[place] += value


def trajectories(rng: random.Random, count: int, folder: Path) -> None:
    for number, name in enumerate(TRAJECTORIES):
        share = count // len(TRAJECTORIES) + 1
        data, rows = lines_of(rng, sound(SAMPLES / "trajectories" / name), share)
        packed = number % 3 == 0
        path = folder / f"t{number}.jsonl{'.zst' if packed else ''}"
        path.write_bytes(zstandard.ZstdCompressor(level=1).compress(data) if packed else data)
        kind = f"trajectories, {'zstd' if packed else 'JSON lines'}"
        source = Trajectories(TrajectoriesConfig(path=str(path), max_chars=400_000))
        done = read(kind, source, rows, folder)
        if done.manifest.rows_out:
            steps = [Step(source), Step(Locate(LocateConfig()), after=source.name)]
            located = Runner(RunSettings(root=folder / "runs", retries=0, workers=1)).run(steps)["locate"].manifest
            assert located.failed == {}
            note("located patches", located.rows_in, located.kept, sum(located.dropped.values()))


def parquet_trajectories(rng: random.Random, count: int, folder: Path) -> None:
    """Columns as JSON text, and one file in which every row has bytes that are no UTF-8."""
    rows = sound(SAMPLES / "trajectories/swe_smith/tool.jsonl") + sound(SAMPLES / "trajectories/nebius.jsonl")
    for number, kind in enumerate((pa.string(), pa.binary())):
        spoilt = [spoil(rng, rng.choice(rows)) for _ in range(count // 2)]
        names = sorted({name for row in rows for name in row})
        texts = [{name: dumps(row[name]) for name in names if name in row and rng.random() < 0.95} for row in spoilt]
        if kind == pa.binary():
            texts = [{name: text[:20] + rng.randbytes(3) + text[20:] for name, text in row.items()} for row in texts]
        columns = [pa.array([row.get(name) for row in texts], pa.binary()) for name in names]
        path = folder / f"p{number}.parquet"
        pq.write_table(pa.table([column.view(pa.string()) for column in columns], names=names), path)
        read("trajectories, parquet", Trajectories(TrajectoriesConfig(path=str(path))), len(texts), folder)


def tasksets(rng: random.Random, count: int, folder: Path) -> None:
    for name in TASKSETS:
        rows = [orjson.loads(one) for one in (SAMPLES / f"tasksets/{name}.jsonl").read_bytes().splitlines()]
        data, spoilt = lines_of(rng, rows, count // len(TASKSETS) + 1)
        path = folder / f"{name}.jsonl"
        path.write_bytes(orjson.dumps(rows[0]) + b"\n" + data)  # the first row tells the columns
        read("task sets", TaskSets(TaskSetConfig(path=str(path), image="x/{docker_id}")), spoilt + 1, folder)


def picture_row(rng: random.Random, data: Any) -> Row:
    return {"id": str(rng.randrange(50)), "question": "How many?", "answer": "2", "choices": ["1", "2"], "image": data}


def picture_lines(rng: random.Random, count: int, folder: Path) -> None:
    rows = [picture_row(rng, base64.b64encode(image(rng)).decode()) for _ in range(max(50, count // 20))]
    data, spoilt = lines_of(rng, rows, count)
    (folder / "x.jsonl").write_bytes(data)
    config = ImageSetsConfig.model_validate({"read": [{"path": str(folder / "x.jsonl"), "name": "s"}]})
    read("image sets, JSON lines", ImageSets(config), spoilt, folder)


def picture_table(rng: random.Random, count: int, folder: Path) -> None:
    rows = [
        picture_row(rng, {"bytes": image(rng), "path": rng.choice((None, "../x.png", "x\0"))}) for _ in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "x.parquet")
    config = ImageSetsConfig.model_validate({"read": [{"path": str(folder / "x.parquet"), "name": "s"}]})
    read("image sets, parquet", ImageSets(config), count, folder)


COLUMNS = ({}, {"context_pos": "context_neg", "context_neg": "context_pos", "group": "id"},
           {"question": "x", "licence": "context_pos", "source": "answer", "ids": ["x"], "texts": ["context_neg"]})  # fmt: skip


def pairs(rng: random.Random, count: int, folder: Path) -> None:
    """Pairs of texts under several column maps."""
    for number, columns in enumerate(COLUMNS):
        rows = text_rows(number, 30)
        spoilt = [spoil(rng, rng.choice(rows)) for _ in range(count // len(COLUMNS) + 1)]
        _audited("pairs of texts", rows, spoilt, columns, folder / f"pairs{number}.jsonl")


def picture_pairs(rng: random.Random, count: int, folder: Path) -> None:
    """Pairs of pictures: paths, base64 and nonsense where bytes should be."""
    rows = [{**row, "image_pos": "a.png", "image_neg": "b.png"} for n in range(15) for row in image_pair_rows(n)]
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(image(rng))
    _audited("pairs of pictures", rows, [spoil(rng, rng.choice(rows)) for _ in range(count)], {}, folder / "i.jsonl")


def _audited(kind: str, rows: list[Row], spoilt: list[Row], columns: Row, path: Path) -> None:
    # What a column is for is the user's word: a place of C+ that is none of the known is told, and ends the audit.
    kept = [{**row, "correct_first": None, "x": row.get("question"), "embedding_pos": None} for row in [*rows, *spoilt]]
    path.write_bytes(b"".join(dumps(row) + b"\n" for row in kept if _encodable(row)))
    count = sum(1 for row in kept if _encodable(row))
    result = audit_dataset(str(path), AuditConfig.model_validate({"columns": columns, "workers": 1, "folds": 2}))
    broken = sum(finding.count for finding in result.findings if finding.check == "broken rows")
    note(kind, count, result.rows, broken)


def _encodable(row: Row) -> bool:
    """Whether the strict JSON reader of the audit takes it; what it refuses is one line, and ends the audit."""
    try:
        orjson.loads(dumps(row))
    except orjson.JSONDecodeError:
        return False
    return True


MAKERS: dict[Callable[[random.Random, int, Path], None], tuple[int, int]] = {
    trajectories: (450, 9000),
    parquet_trajectories: (200, 3000),
    tasksets: (400, 6000),
    picture_lines: (400, 4000),
    picture_table: (300, 4000),
    pairs: (150, 2400),
    picture_pairs: (100, 1000),
}
"""Rows in the short form, and in the campaign."""


@pytest.mark.parametrize("maker", MAKERS)
def test_spoilt_rows_are_all_accounted_for(maker: Callable[[random.Random, int, Path], None], tmp_path: Path) -> None:
    maker(random.Random(f"short {maker.__name__}"), MAKERS[maker][0], tmp_path)


@pytest.mark.campaign
@pytest.mark.timeout(3000)
def test_the_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TOTALS.clear()
    for maker, (_, count) in MAKERS.items():
        folder = tmp_path / maker.__name__
        folder.mkdir()
        maker(random.Random(f"campaign {maker.__name__}"), count, folder)
    inputs = {kind: total for kind, total in TOTALS.items() if kind != "located patches"}
    with capsys.disabled():
        print(f"\n{'input':<28} {'rows in':>8} {'kept':>8} {'dropped':>8}")
        for kind, (rows, kept, dropped) in {
            **TOTALS,
            "all inputs": [sum(x) for x in zip(*inputs.values(), strict=True)],
        }.items():
            print(f"{kind:<28} {rows:>8,} {kept:>8,} {dropped:>8,}")
        print("crashes 0, failed 0, unaccounted 0")
    assert sum(rows for rows, _, _ in inputs.values()) >= 20_000
