"""The sandbox against real containers, as Docker's and as pods: what it must hold in, and what it must hand back."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.backend import Host, RunningSandbox, start_sandbox
from contextrl_data.stages.coding.daemon import LABEL
from contextrl_data.stages.coding.image_build import IMAGE_LABEL, build_image, one_file_context
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig, SandboxOver, UnusableTask

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.docker
SMALL = SandboxConfig(memory="128m", pids=64, output_bytes=10_000)


@pytest.fixture
def sandbox(host: Host, base_image: str, run_id: str) -> Iterator[RunningSandbox]:
    with start_sandbox(host, base_image, SMALL, run_id) as started:
        yield started


def containers(client: docker.DockerClient, run_id: str) -> int:
    """Containers of the run; one that Docker is removing at this moment gets the time to go."""
    for _ in range(50):
        found = len(client.api.containers(all=True, filters={"label": f"{LABEL}={run_id}"}))
        if not found:
            break
        time.sleep(0.1)
    return found


def test_there_is_no_privilege_and_no_network(sandbox: RunningSandbox) -> None:
    status = dict(
        line.split(":\t", 1) for line in sandbox.exec("cat /proc/self/status").output.splitlines() if ":\t" in line
    )
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert sandbox.exec("ls /sys/class/net").output == "lo\n"
    dial = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    assert "Network is unreachable" in sandbox.exec(f'python3 -c "{dial}"').output


def test_too_much_memory_ends_the_process_only(sandbox: RunningSandbox) -> None:
    assert sandbox.exec("python3 -c 'bytearray(400 << 20)'").exit_code == 137
    assert sandbox.exec("echo alive").output == "alive\n"


def test_a_fork_bomb_stays_small(sandbox: RunningSandbox) -> None:
    bomb = (
        "import os\nfor born in range(1000):\n    try:\n        if os.fork() == 0: os.read(os.pipe()[0], 1)\n"
        "    except BlockingIOError:\n        print(born, flush=True); os._exit(0)"
    )
    result = sandbox.exec(f"python3 -c '{bomb}'", timeout=20)
    assert 10 < int(result.output) < 64


def test_file_size_and_open_files_are_bounded(host: Host, base_image: str, run_id: str) -> None:
    config = SandboxConfig(file_bytes=1 << 20, open_files=64)
    with start_sandbox(host, base_image, config, run_id) as sandbox:
        assert sandbox.exec("head -c 3000000 /dev/zero >/tmp/big").exit_code != 0
        assert sandbox.exec("stat -c %s /tmp/big").output == "1048576\n"
        assert sandbox.exec("ulimit -n").output == "64\n"


def test_a_flood_is_cut_and_ends_the_sandbox(
    sandbox: RunningSandbox, docker_client: docker.DockerClient, run_id: str
) -> None:
    result = sandbox.exec("yes")
    assert (result.state, result.exit_code) == ("output_cap", None)
    assert result.output == "y\n" * 5000
    assert containers(docker_client, run_id) == 0
    with pytest.raises(SandboxOver):
        sandbox.exec("echo again")


def test_a_timeout_takes_the_children_that_hid(
    sandbox: RunningSandbox, docker_client: docker.DockerClient, run_id: str
) -> None:
    assert sandbox.usable
    result = sandbox.exec("echo before; setsid sleep 600 & sleep 600", timeout=1)
    assert (result.state, result.exit_code, result.output) == ("timeout", None, "before\n")
    assert not sandbox.usable
    assert containers(docker_client, run_id) == 0
    for use in (lambda: sandbox.put("/tmp/x", b""), lambda: sandbox.get("/tmp/x", 1)):
        with pytest.raises(SandboxOver):
            use()


def test_a_killed_container_is_never_a_result(sandbox: RunningSandbox) -> None:
    sandbox.exec("sleep 0.5")
    with pytest.raises(SandboxOver, match="ended while it was in use"):
        sandbox.exec("kill -9 -1; sleep 30")
    assert not sandbox.usable


def test_a_container_ends_by_itself(
    docker_client: docker.DockerClient, host: Host, base_image: str, run_id: str
) -> None:
    config = SandboxConfig(ttl_seconds=1)
    with start_sandbox(host, base_image, config, run_id) as sandbox, pytest.raises(SandboxOver):
        sandbox.exec("sleep 60", timeout=50)
    assert containers(docker_client, run_id) == 0


def test_both_outputs_come_in_the_order_of_writing(sandbox: RunningSandbox) -> None:
    loop = "for n in $(seq 200); do echo out$n; echo err$n >&2; done; exit 7"
    expected = "".join(f"out{n}\nerr{n}\n" for n in range(1, 201))
    result = sandbox.exec(loop)
    assert (result.exit_code, result.output, result.state) == (7, expected, "ok")


def test_unusual_bytes_become_text(sandbox: RunningSandbox) -> None:
    assert sandbox.exec(r"printf 'a\000b\377c\xc3\xa9\r\n\xed\xa0\x80'").output == "a\0b\ufffdcé\r\n\ufffd\ufffd\ufffd"
    assert sandbox.exec("true").output == ""


def test_a_long_command_leaves_no_copy(sandbox: RunningSandbox) -> None:
    secret = "s" * 150_000
    command = (
        f"cat >/dev/null <<'END'\n{secret}\nEND\nfind /tmp -type f; ls -l /proc/self/fd | grep -c contextrl; exit 4"
    )
    result = sandbox.exec(command)
    assert (result.exit_code, result.output) == (4, "0\n")


def test_the_surroundings_are_the_same_in_every_container(host: Host, base_image: str, run_id: str) -> None:
    seen = []
    for _ in range(2):
        with start_sandbox(host, base_image, SMALL, run_id, env={"EXTRA": "1"}) as sandbox:
            seen.append(sandbox.exec("env | sort; hostname; id; pwd; python3 -c 'print(hash(\"x\"))'").output)
    assert seen[0] == seen[1]
    for line in ("PYTHONHASHSEED=0", "PAGER=cat", "LANG=C.UTF-8", "EXTRA=1", "/testbed"):
        assert line in seen[0].splitlines()


def test_the_user_can_be_chosen(docker_client: docker.DockerClient, base_image: str, run_id: str) -> None:
    config = SandboxConfig(user="agent")
    with Sandbox(docker_client, base_image, config, run_id) as sandbox:
        assert sandbox.exec("whoami; touch /testbed/x && echo mine; touch /etc/x 2>&1").output.startswith(
            "agent\nmine\n"
        )
        assert sandbox.exec("whoami", user="root").output == "root\n"


def test_files_go_in_and_out(sandbox: RunningSandbox) -> None:
    data = bytes(range(256)) * 40
    sandbox.put("/tmp/some file", data, mode=0o755)
    assert sandbox.get("/tmp/some file", len(data)) == data
    assert sandbox.exec("stat -c %a '/tmp/some file'").output == "755\n"
    with pytest.raises(RowFailure, match="larger than"):
        sandbox.get("/tmp/some file", len(data) - 1)


def test_copy_out_refuses_what_is_no_file(sandbox: RunningSandbox) -> None:
    sandbox.exec(
        "cd /tmp; ln -s /etc/passwd link; mkdir folder; echo 1 >folder/f; mkfifo pipe; echo 1 >one; ln one two"
    )
    for name in ("link", "folder", "pipe"):
        with pytest.raises(RowFailure, match="not copied out"):
            sandbox.get(f"/tmp/{name}", 1000)
    with pytest.raises(RowFailure, match="no such file"):
        sandbox.get("/tmp/nothing", 1000)
    assert sandbox.get("/tmp/one", 1000) == b"1\n"
    assert sandbox.usable


def test_no_output_is_lost_among_many(host: Host, base_image: str, run_id: str) -> None:
    with start_sandbox(host, base_image, SMALL, run_id) as sandbox, ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda n: sandbox.exec(f"echo {n}").output, range(32)))
    assert outputs == [f"{n}\n" for n in range(32)]


def test_nothing_stays_open_on_this_side(host: Host, base_image: str, run_id: str) -> None:
    def once() -> int:
        with start_sandbox(host, base_image, SMALL, run_id) as sandbox:
            sandbox.exec("true")
            sandbox.exec("sleep 9", timeout=0.3)
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    # The client keeps some connections for the next call; how many settles after a few runs.
    settled = [once() for _ in range(4)][-1]
    assert [once() for _ in range(4)][-1] <= settled + 2


@pytest.fixture
def image_without(docker_client: docker.DockerClient, base_image: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The base image after one more step."""
    tag = f"contextrl-data/test-{os.getpid()}:{hashlib.sha256(request.param.encode()).hexdigest()[:12]}"
    context = one_file_context(f"FROM {base_image}\n{request.param}\n")
    build_image(docker_client, context, tag, {IMAGE_LABEL: "test"}, network_mode="none")
    yield tag
    docker_client.images.remove(tag, force=True)


@pytest.mark.parametrize(
    ("image_without", "reason"),
    [("RUN rm /bin/bash", "image without bash"), ("RUN rm -r /testbed", "image without the task's workdir")],
    indirect=["image_without"],
)
def test_an_unfit_image_is_the_tasks_fault(host: Host, image_without: str, reason: str, run_id: str) -> None:
    with (
        pytest.raises(UnusableTask) as caught,
        start_sandbox(host, image_without, SMALL, run_id) as sandbox,
    ):
        sandbox.exec("true")
    assert caught.value.reason == reason
    assert image_without in caught.value.message
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.reason, str(again)) == (caught.value.reason, str(caught.value))


@pytest.mark.parametrize("image_without", ["RUN rm /bin/sleep"], indirect=True)
def test_an_image_that_does_not_start_leaves_no_container(
    docker_client: docker.DockerClient, host: Host, image_without: str, run_id: str
) -> None:
    def start_and_use() -> None:
        with start_sandbox(host, image_without, SMALL, run_id) as sandbox:
            time.sleep(0.5)  # a command that comes before its end would run
            sandbox.exec("sleep 1")

    with pytest.raises(UnusableTask, match="image does not start"):
        start_and_use()
    assert containers(docker_client, run_id) == 0


def test_a_container_that_is_killed_before_its_first_command_says_nothing_of_its_image(
    docker_client: docker.DockerClient, base_image: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contextrl_data.stages.coding.sandbox.SECOND_TRY", 2)  # it is waited for to the end
    with Sandbox(docker_client, base_image, SMALL, run_id) as sandbox:
        [container] = docker_client.containers.list(filters={"label": f"{LABEL}={run_id}"})
        container.kill()
        with pytest.raises(SandboxOver, match="ended while it was in use"):
            sandbox.exec("true")
        assert containers(docker_client, run_id) == 0


@pytest.mark.parametrize("image_without", ['ENTRYPOINT ["false"]\nWORKDIR /nowhere'], indirect=True)
def test_an_images_own_entrypoint_does_not_matter(host: Host, image_without: str, run_id: str) -> None:
    with start_sandbox(host, image_without, SMALL, run_id) as sandbox:
        assert sandbox.exec("pwd").output == "/testbed\n"
