"""The Ray executor: the bytes of the local one, on two nodes of which one dies, and faults that are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_pipeline as toy
from rich.console import Console

ray = pytest.importorskip("ray", reason="needs the extra [ray]")

from ray.cluster_utils import Cluster  # noqa: E402

from contextrl_data.pipeline.calls import read_calls  # noqa: E402
from contextrl_data.pipeline.errors import ContextRLError, SetupError  # noqa: E402
from contextrl_data.pipeline.executors.ray import RayExecutor, RaySettings  # noqa: E402
from contextrl_data.pipeline.plan import RunSettings, Step  # noqa: E402
from contextrl_data.pipeline.runner import Runner  # noqa: E402
from contextrl_data.pipeline.store import StageFolder  # noqa: E402
from contextrl_data.stages.finish import exit_code  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
]
NEEDS = {"split": {"cpu": 1}, "dear": {"cpu": 1, "resources": {"slot": 1}}}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes on this machine; workers find the toy pipeline as they would find an installed package."""
    here = os.pathsep.join([str(Path(toy.__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", here)
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "resources": {"slot": 1}})
    found.second = found.add_node(num_cpus=1, resources={"slot": 1})
    found.wait_for_nodes()
    yield found
    ray.shutdown()
    found.shutdown()


def executor(cluster: Any, **needs: Any) -> RayExecutor:
    return RayExecutor(RaySettings.model_validate({"address": cluster.address, "stages": NEEDS | needs}))


def test_two_nodes_give_the_bytes_of_one_machine(tmp_path: Path, cluster: Any) -> None:
    toy.run(tmp_path / "local", toy.steps(count=300))
    steps = toy.steps(count=300)
    Runner(RunSettings(root=tmp_path / "ray"), executor=executor(cluster)).run(steps)
    assert toy.contents(tmp_path / "ray") == toy.contents(tmp_path / "local")
    (dear,) = (tmp_path / "ray").glob("dear-*")
    assert len(list((dear / "calls").iterdir())) == 2, "each worker writes a file of its own"
    manifest = StageFolder(dear).manifest()
    assert manifest is not None
    assert sorted(call.row for call in read_calls(StageFolder(dear))) == sorted(
        call.row for folder in (tmp_path / "local").glob("dear-*") for call in read_calls(StageFolder(folder))
    )
    assert manifest.cost == pytest.approx(0.001 * manifest.rows_in)
    assert executor(cluster).workers(steps[1].stage) == 2
    with pytest.raises(SetupError, match="needs 9 slot a worker, and the cluster offers 2"):
        executor(cluster, split={"resources": {"slot": 9}}).workers(steps[1].stage)


def test_a_node_that_dies_costs_nothing(tmp_path: Path, cluster: Any) -> None:
    toy.run(tmp_path / "local", toy.steps(count=120, pause=0.02))

    class Watched(RayExecutor):
        """Takes the second node away in the middle."""

        def run(self, job: Any, batches: Any, workers: int) -> Iterator[Any]:
            for seen, outcome in enumerate(super().run(job, batches, workers)):
                yield outcome
                if job.stage.name == "split" and seen == 1 and cluster.second is not None:
                    cluster.remove_node(cluster.second, allow_graceful=False)
                    cluster.second = None

    watched = Watched(executor(cluster).settings)
    Runner(RunSettings(root=tmp_path / "ray", workers=2, shard_rows=10), executor=watched).run(
        toy.steps(count=120, pause=0.02)
    )
    assert cluster.second is None
    assert toy.contents(tmp_path / "ray") == toy.contents(tmp_path / "local")


def test_rows_that_kill_stop_the_run_and_a_users_mistake_stays_one(tmp_path: Path, cluster: Any) -> None:
    numbers = toy.steps(count=20)[0]
    for stage, told in (
        (toy.Killer(toy.SplitConfig()), "died on the same rows"),
        (toy.Mistaken(toy.SplitConfig()), "mend it"),
    ):
        runner = Runner(RunSettings(root=tmp_path, workers=1), executor=executor(cluster))
        with pytest.raises(ContextRLError, match=told):
            runner.run([numbers, Step(stage, after="numbers")])


def test_failed_rows_are_counted_told_and_tried_again(tmp_path: Path, cluster: Any) -> None:
    bad = tmp_path / "bad"
    bad.touch()
    steps = toy.steps(count=60, fail_file=str(bad))
    settings = RunSettings(root=tmp_path / "ray", retries=0)
    finished = Runner(settings, executor=executor(cluster)).run(steps)
    assert finished["split"].manifest.failed == {"toy": 6}
    assert exit_code(Console(quiet=True), settings, finished) == 1
    bad.unlink()
    finished = Runner(settings, executor=executor(cluster)).run(steps)
    assert exit_code(Console(quiet=True), settings, finished) == 0
    Runner(RunSettings(root=tmp_path / "local")).run(steps)
    assert toy.contents(tmp_path / "ray") == toy.contents(tmp_path / "local")


def test_no_cluster_is_one_line_with_the_remedy() -> None:
    script = (
        "from contextrl_data.pipeline.executors.ray import RaySettings, connect\n"
        "from contextrl_data.pipeline.errors import SetupError\n"
        "try: connect(RaySettings(address='auto'))\n"
        "except SetupError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "no Ray cluster answers at 'auto'" in done.stdout, done.stderr
    assert "--set run.ray.address=local" in done.stdout
