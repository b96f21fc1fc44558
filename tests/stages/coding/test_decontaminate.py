"""Benchmark instances are recognised by id and repository, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Context, Drop, Keep
from contextrl_data.stages.coding.decontaminate import (
    SWE_BENCH,
    Benchmarks,
    Decontaminate,
    DecontaminateConfig,
    DecontaminateTasks,
)
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig

SAMPLES = Path(__file__).parents[3] / "data/samples/trajectories"


def reason(instance_id: str, repo: str = "", **config: Any) -> str | None:
    return Benchmarks(DecontaminateConfig(**config)).reason(instance_id, repo)


@pytest.mark.parametrize("repo", SWE_BENCH)
def test_every_instance_of_the_benchmark_is_known_by_its_shape(repo: str) -> None:
    name = repo.replace("/", "__")
    assert reason(f"{name}-12345") == "benchmark instance"
    assert reason(f"{name}-12345_7") == "benchmark instance"
    assert reason(f"{name.upper()}-1") == "benchmark instance"


@pytest.mark.parametrize(
    ("instance_id", "repo", "expected"),
    [
        ("django__django.abcdef12.fn__x1", "", "benchmark repository"),
        ("any", "django/django", "benchmark repository"),
        ("any", "swesmith/django__django.abcdef12", "benchmark repository"),
        ("any", "Django/Django", "benchmark repository"),
        ("django__channels-12", "django/channels", None),
        ("pallets__click-12", "", None),
        ("oauthlib__oauthlib.1fd52536.combine_file__otc4vogi", "oauthlib/oauthlib", None),
        ("", "", None),
    ],
)
def test_repositories_count_too_and_neighbours_do_not(instance_id: str, repo: str, expected: str | None) -> None:
    assert reason(instance_id, repo) == expected


def test_more_ids_and_repositories_can_be_named(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("# held out\n\npallets__click-12\n")
    assert reason("pallets__click-12", id_lists=[ids]) == "benchmark instance"
    assert reason("pallets__click-12_3", id_lists=[ids]) == "benchmark instance"
    assert reason("pallets__click-13", id_lists=[ids]) is None
    assert reason("pallets__click-13", repositories=["pallets/click"]) == "benchmark instance"
    assert reason("django__django.abcdef12.fn__x1", whole_repositories=False) is None
    before = Benchmarks(DecontaminateConfig(id_lists=[ids])).fingerprint()
    ids.write_text("pallets__click-13\n")
    assert Benchmarks(DecontaminateConfig(id_lists=[ids])).fingerprint() != before
    with pytest.raises(InputError, match="one instance id a line"):
        reason("x", id_lists=[tmp_path / "none.txt"])


def test_an_allowed_benchmark_is_marked_once(tmp_path: Path) -> None:
    stage = DecontaminateTasks(DecontaminateConfig(allow_benchmarks=True))
    stage.open(Context(folder=tmp_path))
    row = {"id": "psf__requests-1", "repo": "psf/requests", "source": "mine"}
    outcome = stage.process(row)
    assert isinstance(outcome, Keep)
    assert outcome.rows[0]["source"] == "mine [benchmark]"
    assert stage.process(outcome.rows[0]) == Keep(outcome.rows)
    refusing = DecontaminateTasks(DecontaminateConfig())
    refusing.open(Context(folder=tmp_path))
    assert refusing.process(row) == Drop("benchmark instance")


def test_the_stage_drops_what_a_source_let_through(tmp_path: Path) -> None:
    path = tmp_path / "psf__requests-1.traj"
    sample = (SAMPLES / "samples__shapes-2.traj").read_text()
    path.write_text(sample.replace("samples__shapes-2", "psf__requests-1"))
    source = Trajectories(TrajectoriesConfig(path=str(path), benchmarks=DecontaminateConfig(allow_benchmarks=True)))
    steps = [Step(source), Step(Decontaminate(DecontaminateConfig()), after="trajectories")]
    done = Runner(RunSettings(root=tmp_path / "runs", workers=1)).run(steps)
    assert done["trajectories"].manifest.kept == 1
    assert done["decontaminate"].manifest.dropped == {"benchmark instance": 1}
