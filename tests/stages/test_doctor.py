"""The doctor on this very machine, and on machines that lack something."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from contextrl_data.stages import doctor
from contextrl_data.stages.coding.base_image import BASE_TAG
from contextrl_data.stages.doctor import Check, diagnose, show

DOCKER_CHECKS = ["docker client", "docker", "cgroup limits", "base image"]


@pytest.mark.docker
@pytest.mark.usefixtures("base_image")
def test_a_machine_that_can_build_has_nothing_to_mend(tmp_path: Path) -> None:
    checks = {check.name: check for check in diagnose(tmp_path / "not" / "yet")}
    for name in ["python", "git", *DOCKER_CHECKS, "extra [coding]"]:
        assert checks[name].state == "ok", checks[name]
    assert checks["base image"].detail == BASE_TAG == doctor.BASE_TAG
    assert all(check.remedy for check in checks.values() if check.state != "ok")


@pytest.mark.usefixtures("refused_docker")
def test_without_docker_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    checks = {check.name: check for check in diagnose(tmp_path)}
    assert checks["docker"].state == "fail"
    assert "make setup" in checks["docker"].remedy
    assert "cgroup limits" not in checks
    assert "keys" in checks


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://"])
@pytest.mark.usefixtures("refused_docker")
def test_an_address_of_something_else_is_no_crash(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert [check.state for check in doctor.check_docker()] == ["ok", "fail"]


@pytest.mark.usefixtures("refused_docker")
def test_values_of_keys_are_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    out = io.StringIO()
    show(diagnose(tmp_path), Console(file=out, width=80))
    assert "OPENAI_API_KEY" in out.getvalue()
    assert "not-to-be-seen" not in out.getvalue()


def test_every_lack_is_shown_with_its_remedy() -> None:
    out = io.StringIO()
    show(
        [Check("disk", "fail", "0.1 GB free", "free some [/tmp]"), Check("git", "ok", "there")],
        Console(file=out),
    )
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["fail", "disk", "0.1", "GB", "free"]
    assert lines[1].strip() == "-> free some [/tmp]"
    assert lines[2].split() == ["ok", "git", "there"]


def test_single_findings() -> None:
    assert doctor.check_python((3, 10, 4)).state == "fail"
    assert doctor.check_faiss([]).state == doctor.check_faiss(["faiss-gpu"]).state == "ok"
    mixed = doctor.check_faiss(["faiss-cpu", "faiss-gpu"])
    assert (mixed.state, "pip uninstall -y faiss-cpu faiss-gpu" in mixed.remedy) == ("fail", True)
    assert doctor.check_extra("images", ["no_such_module", "json"]).detail == "lacks no_such_module"
    assert doctor.check_extra("images", ["no_such_module"]).state == "warn"
    assert doctor.check_extra("coding", ["no_such_module"]).state == "fail"
    lacking = doctor.check_limits({"MemoryLimit": False, "PidsLimit": True, "CgroupVersion": "2"})
    assert (lacking.state, lacking.detail) == ("fail", "memory not enforced (cgroup v2)")
    assert doctor.check_keys({"HF_TOKEN": ""}).detail == "none set; the default build needs none"
