"""Connecting, and removing exactly what dead runs left."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contextrl_data.pipeline.errors import RowFailure, SetupError
from contextrl_data.stages.coding.daemon import (
    LABEL,
    OWNER_LABEL,
    charged_to_docker,
    connect,
    owner,
    owner_is_dead,
    reap,
    remove_container,
    swept,
)
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig

if TYPE_CHECKING:
    import docker

START_AND_WAIT = """
import sys, time
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig, connect
sandbox = Sandbox(connect(), sys.argv[1], SandboxConfig(), sys.argv[2])
print("started", flush=True)
time.sleep(600)
"""


def found(client: docker.DockerClient, run_id: str) -> int:
    return len(client.api.containers(all=True, filters={"label": f"{LABEL}={run_id}"}))


@pytest.mark.docker
def test_a_dead_runs_containers_go_and_living_ones_stay(
    docker_client: docker.DockerClient, base_image: str, run_id: str
) -> None:
    dead_run, stranger = f"{run_id}-dead", f"{run_id}-stranger"
    # A container of someone else that happens to carry the label, but names no owner.
    other = docker_client.containers.run(
        base_image, ["sleep", "60"], labels={LABEL: stranger}, detach=True, network_mode="none"
    )
    try:
        with subprocess.Popen(
            [sys.executable, "-c", START_AND_WAIT, base_image, dead_run], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            reap(docker_client)
            assert found(docker_client, dead_run) == 1, "its owner lives"
            process.send_signal(signal.SIGKILL)
        with Sandbox(docker_client, base_image, SandboxConfig(), run_id) as mine:
            assert reap(docker_client) >= 1
            assert found(docker_client, dead_run) == 0
            assert mine.exec("echo here").output == "here\n"
            assert reap(docker_client, run_id) == 1
            assert found(docker_client, run_id) == 0
        assert reap(docker_client, run_id) == 0
        assert found(docker_client, stranger) == 1
    finally:
        other.remove(force=True)
        reap(docker_client, dead_run)


def test_only_a_known_death_counts() -> None:
    mine = owner()
    node, boot, namespace, pid, started = mine.split("|")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = str(process.pid)
    assert not owner_is_dead(mine)
    assert owner_is_dead("|".join([node, boot, namespace, gone, "1"]))
    assert owner_is_dead("|".join([node, boot, namespace, pid, "1"])), "the pid was given out again"
    assert owner_is_dead("|".join([node, "another-boot", namespace, pid, started]))
    assert not owner_is_dead("|".join([f"not-{platform.node()}", boot, namespace, gone, "1"])), "another machine"
    assert not owner_is_dead("|".join([node, boot, "pid:[1]", gone, "1"])), "another process namespace"
    for strange in ("", "base", "a|b|c", "|".join([node, boot, namespace, "x", "1"])):
        assert not owner_is_dead(strange)


def test_no_docker_is_one_line_with_the_remedy(refused_docker: str) -> None:
    with pytest.raises(SetupError) as caught:
        connect()
    assert refused_docker in caught.value.problem
    assert "make setup" in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_silent_docker_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
        with pytest.raises(SetupError, match="does not answer"):
            connect(timeout=0.3)


def test_a_full_disk_stops_the_run_and_other_faults_the_row() -> None:
    with pytest.raises(SetupError, match=r"no space left.*docker system prune"), charged_to_docker("writing"):
        raise OSError(28, os.strerror(28))
    with pytest.raises(RowFailure) as caught, charged_to_docker("reading"):
        raise OSError(5, os.strerror(5))
    assert caught.value.boundary == "docker"


def test_a_sweep_takes_what_this_process_left_and_leaves_strangers(docker_client, base_image: str, run_id: str) -> None:  # type: ignore[no-untyped-def]
    def start(**labels: str) -> str:
        container = docker_client.containers.run(
            base_image, ["sleep", "60"], detach=True, network_mode="none", labels={LABEL: run_id, **labels}, remove=True
        )
        return str(container.id)

    nobody = owner().replace(f"|{os.getpid()}|", "|999999|")
    dead = start(**{OWNER_LABEL: nobody})
    stranger = start(**{OWNER_LABEL: "another-machine|x|y|1|2"})
    try:
        with swept():
            assert dead not in {each.id for each in docker_client.containers.list(ignore_removed=True)}
            mine = start(**{OWNER_LABEL: owner()})
            workers = start(**{OWNER_LABEL: nobody})  # of one that was killed meanwhile
        left = {each.id for each in docker_client.containers.list(ignore_removed=True)}
        assert mine not in left
        assert workers not in left
        assert stranger in left
    finally:
        remove_container(docker_client, stranger)


def test_a_sweep_without_docker_lets_the_build_speak(refused_docker: str) -> None:
    with swept():
        pass
