"""A line of a gigabyte in every reader of JSON lines: a row with its reason, in bounded memory, and the rows around it."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL")

from audit_sets import text_rows
from bad_pictures import encoded, picture

SAMPLES = Path(__file__).parents[2] / "data/samples"
FULL = 1 << 30
SHORT = 64 << 20
READ = """\
import json, resource, sys
from contextrl_data.stages import lines
lines.split_lines.__defaults__ = (int(sys.argv[3]),)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
path, kind, bound = sys.argv[1:4]
def told(items): return [getattr(one, "reason", type(one).__name__) for _, one in items]
if kind == "runs":
    from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig
    stage = Trajectories(TrajectoriesConfig(path=path, max_row_bytes=int(bound)))
elif kind == "tasks":
    from contextrl_data.stages.coding.tasksets import TaskSetConfig, TaskSets
    stage = TaskSets(TaskSetConfig(path=path, image="x"))
elif kind == "pictures":
    from PIL import Image
    from contextrl_data.stages.images.image_sets import ImageSets, ImageSetsConfig
    stage = ImageSets(ImageSetsConfig.model_validate({"read": [{"path": path, "name": "s"}]}))
else:
    from contextrl_data.pipeline.errors import InputError
    from contextrl_data.stages.audit.config import AuditConfig
    from contextrl_data.stages.audit.run import audit_dataset
    class Audit:
        def items(self):
            try: audit_dataset(path, AuditConfig(workers=1))
            except InputError as error: print(json.dumps({"error": str(error)}))
            return []
    stage = Audit()
before = peak()
print(json.dumps({"told": told(stage.items()), "mib": peak() - before}))
"""


def good(kind: str) -> list[bytes]:
    """Three sound lines."""
    if kind == "runs":
        path = SAMPLES / "trajectories/mini_v1/samples__shapes-1.traj.json"
        rows = [json.loads(path.read_text()) | {"instance_id": f"samples__shapes-{n}"} for n in range(3)]
    elif kind == "tasks":
        task = json.loads((SAMPLES / "tasksets/swe_bench.jsonl").read_text().splitlines()[0])
        rows = [task | {"instance_id": f"own__shapes-{n}"} for n in range(3)]
    elif kind == "pictures":
        data = base64.b64encode(encoded(picture(random.Random(1)))).decode()
        rows = [{"question": "Q?", "answer": "a", "image": data} for _ in range(3)]
    else:
        rows = text_rows(1, 3)[:3]
    return [json.dumps(row).encode() + b"\n" for row in rows]


def long_line(path: Path, kind: str, nbytes: int) -> None:
    """Two sound lines, one that is too long, and a third."""
    first, second, third = good(kind)
    with path.open("wb") as file:
        file.write(first + second + b'{"id": "')
        for _ in range(nbytes >> 20):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + third)


@pytest.mark.parametrize("nbytes", [SHORT, pytest.param(FULL, marks=pytest.mark.campaign)], ids=["64 MB", "1 GB"])
@pytest.mark.parametrize("kind", ["runs", "tasks", "pictures", "pairs"])
def test_a_line_too_long_is_a_row_in_bounded_memory(kind: str, nbytes: int, tmp_path: Path) -> None:
    """The short form has a bound that is as much smaller as its line."""
    path, bound = tmp_path / "x.jsonl", nbytes // 4
    long_line(path, kind, nbytes)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, str(path), kind, str(bound)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *before, last = done.stdout.splitlines()
    found = json.loads(last)
    if kind == "pairs":
        assert "row 3 is longer than" in json.loads(before[0])["error"]
    else:
        assert found["told"] == ["Keep", "Keep", "row is too large", "Keep"]
    # The held part of the line, once more while its pieces are joined or let go, and the libraries.
    assert found["mib"] < 2 * bound / (1 << 20) + 200, found
