"""The Ray executor: the bytes of the local one, on two nodes of which one dies, and faults that are told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy_pipeline as toy
from rich.console import Console

ray = pytest.importorskip("ray", reason="needs the extra [ray]")

from ray.cluster_utils import Cluster  # noqa: E402

from contextrl_data.pipeline.calls import read_calls  # noqa: E402
from contextrl_data.pipeline.errors import ContextRLError, SetupError  # noqa: E402
from contextrl_data.pipeline.executors import Job, ray_home, ray_pool  # noqa: E402
from contextrl_data.pipeline.executors.ray import RayExecutor, RaySettings  # noqa: E402
from contextrl_data.pipeline.executors.ray_home import Home  # noqa: E402
from contextrl_data.pipeline.plan import RunSettings, Step  # noqa: E402
from contextrl_data.pipeline.runner import Runner  # noqa: E402
from contextrl_data.pipeline.stage import Context  # noqa: E402
from contextrl_data.pipeline.store import StageFolder  # noqa: E402
from contextrl_data.stages.finish import exit_code  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
]
NEEDS = {"split": {"cpu": 1}, "dear": {"cpu": 1, "resources": {"slot": 1}}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes on this machine; workers find the toy pipeline as they would find an installed package."""
    here = os.pathsep.join([str(Path(toy.__file__).parent), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", here)
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "resources": {"slot": 1}})
        found.add_node(num_cpus=1, resources={"slot": 1, "docker": 4})
        found.wait_for_nodes()
        yield found
        ray.shutdown()
        found.shutdown()


def executor(cluster: Any, **needs: Any) -> RayExecutor:
    return RayExecutor(RaySettings.model_validate({"address": cluster.address, "stages": NEEDS | needs}))


def test_no_cluster_is_one_line_with_the_remedy() -> None:  # the first test here: later there is one
    script = (
        "from contextrl_data.pipeline.executors.ray import RaySettings, connect\n"
        "from contextrl_data.pipeline.errors import SetupError\n"
        "try: connect(RaySettings(address='auto'))\n"
        "except SetupError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "no Ray cluster answers at 'auto'" in done.stdout, done.stderr
    assert "--set run.ray.address=local" in done.stdout


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


def test_a_cluster_of_ones_own_is_nobody_elses(cluster: Any) -> None:
    script = (
        "from contextrl_data.pipeline.executors.ray import RaySettings, connect\n"
        "print('slot' in connect(RaySettings(address='local')).cluster_resources())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_what_no_node_has_is_one_line_at_once(cluster: Any) -> None:
    split = toy.Split(toy.SplitConfig())
    told = "needs 1 CPU, 9 slot a worker, and no node offers all of it .the most on any: 1 CPU, 1 slot"
    with pytest.raises(SetupError, match=told):
        executor(cluster, split={"resources": {"slot": 9}}).workers(split)
    with pytest.raises(SetupError, match="2 CPU a worker"):  # two cores in all, but on two nodes
        executor(cluster, split={"cpu": 2}).workers(split)
    assert executor(cluster, split={"cpu": 0.1}).workers(split) == 20


def test_a_stage_that_nothing_makes_room_for_ends(tmp_path: Path, cluster: Any) -> None:
    settings = RaySettings.model_validate(
        {"address": cluster.address, "wait_seconds": 1, "stages": {"split": {"resources": {"nowhere": 1}}}}
    )
    with pytest.raises(SetupError, match="no worker of stage 'split' has started in 1 s"):
        Runner(RunSettings(root=tmp_path, workers=2), executor=RayExecutor(settings)).run(toy.steps(count=20))


def test_a_stage_takes_what_it_needs_of_what_the_cluster_has(cluster: Any) -> None:
    class Boxed(toy.Split):
        def takes(self) -> dict[str, float]:
            return {"docker": 1, "GPU": 1}

    boxed = Boxed(toy.SplitConfig())
    found = RayExecutor(RaySettings(address=cluster.address)).needs(boxed)
    assert (found.cpu, found.gpu, found.resources) == (1, 0, {"docker": 1})
    half = executor(cluster, split={"cpu": 0.25})
    assert (half.needs(boxed).resources, half.workers(boxed)) == ({"docker": 1}, 4), "four slots on the second node"
    assert executor(cluster, split={"resources": {}}).needs(boxed).resources == {}, "what is set holds"


def test_a_relative_root_is_the_builds_and_not_the_workers(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.run(tmp_path / "local", toy.steps(count=60, dear=False))
    monkeypatch.chdir(tmp_path)  # the nodes were started elsewhere
    Runner(RunSettings(root=Path("ray")), executor=executor(cluster)).run(toy.steps(count=60, dear=False))
    assert toy.contents(tmp_path / "ray") == toy.contents(tmp_path / "local")
    assert not list(tmp_path.rglob(".seen"))


def test_a_worker_that_is_not_at_home_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(toy.Split(toy.SplitConfig()), Context(folder=tmp_path))
    home = Home.of(job)
    home.enter(job)
    with pytest.raises(SetupError, match=r"has contextrl-data .* with version 1 of stage 'split', and the build .* 2"):
        replace(home, version=2).enter(job)
    monkeypatch.setattr(ray_home, "LOOKS", 1)
    home.mark.write_text("of another build")
    with pytest.raises(SetupError, match=r"does not see .* as the build does"):
        home.enter(job)


def test_a_node_without_memory_ends_the_stage_in_one_line(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    monkeypatch.setattr(ray_pool, "STARTS", 2)
    full = cluster.add_node(num_cpus=1, resources={"full": 1})
    try:
        runner = Runner(RunSettings(root=tmp_path), executor=executor(cluster, split={"resources": {"full": 1}}))
        with pytest.raises(ContextRLError, match=r"of stage 'split' died .*memory"):
            runner.run(toy.steps(count=20))
    finally:
        cluster.remove_node(full)


def test_a_node_that_dies_costs_nothing(tmp_path: Path, cluster: Any) -> None:
    toy.run(tmp_path / "local", toy.steps(count=120, pause=0.02, dear=False))
    second: list[Any] = [cluster.add_node(num_cpus=1, resources={"mortal": 1})]

    class Watched(RayExecutor):
        """Takes the second node away in the middle."""

        def run(self, job: Any, batches: Any, workers: int) -> Iterator[Any]:
            for seen, outcome in enumerate(super().run(job, batches, workers)):
                yield outcome
                if job.stage.name == "split" and seen == 1:
                    cluster.remove_node(second.pop(), allow_graceful=False)

    watched = Watched(executor(cluster, split={"cpu": 1}).settings)
    Runner(RunSettings(root=tmp_path / "ray", workers=2, shard_rows=10), executor=watched).run(
        toy.steps(count=120, pause=0.02, dear=False)
    )
    assert not second
    assert toy.contents(tmp_path / "ray") == toy.contents(tmp_path / "local")


def test_a_build_that_is_stopped_ends_in_good_order(tmp_path: Path, cluster: Any) -> None:
    script = (
        "import sys, pathlib, toy_pipeline as toy, typer\n"
        "from contextrl_data.pipeline.cli.app import resumable\n"
        "from contextrl_data.pipeline.executors.ray import RayExecutor, RaySettings\n"
        "from contextrl_data.pipeline.plan import RunSettings\n"
        "from contextrl_data.pipeline.runner import Runner\n"
        "executor = RayExecutor(RaySettings(address=sys.argv[1]))\n"
        "settings = RunSettings(root=pathlib.Path(sys.argv[2]), shard_rows=10)\n"
        "try:\n"
        "    with resumable():\n"
        "        Runner(settings, executor=executor).run(toy.steps(count=300, pause=0.1, dear=False))\n"
        "except typer.Exit as stop:\n"
        "    sys.exit(stop.exit_code)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, cluster.address, str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    try:
        while process.poll() is None and not list(tmp_path.glob("split-*/parts/*")):
            time.sleep(0.05)
        process.terminate()
        told = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert "stopped; what is finished is saved" in told
    assert "received at time" not in told, "Ray's own handler aborts"
    assert process.returncode == 130


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
    steps = toy.steps(count=60, fail_file=str(bad), dear=False)
    settings = RunSettings(root=tmp_path / "ray", retries=0)
    finished = Runner(settings, executor=executor(cluster)).run(steps)
    assert finished["split"].manifest.failed == {"toy": 6}
    assert exit_code(Console(quiet=True), settings, finished) == 1
    bad.unlink()
    finished = Runner(settings, executor=executor(cluster)).run(steps)
    assert exit_code(Console(quiet=True), settings, finished) == 0
    Runner(RunSettings(root=tmp_path / "local")).run(steps)
    assert toy.contents(tmp_path / "ray") == toy.contents(tmp_path / "local")
