"""Programs that want out of the sandbox, and patches that want a label they did not earn: each one is contained.

`PROGRAMS` run in a sandbox: what is left of them afterwards is nothing. `FORGERIES` are evaluated: none is `resolved`.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import small_repo
from small_repo import ALL_TESTS, WINDOWS, diff

from contextrl_data.stages.coding.backend import start_sandbox
from contextrl_data.stages.coding.daemon import LABEL
from contextrl_data.stages.coding.evaluate import EvaluateConfig, evaluate_patch
from contextrl_data.stages.coding.faults import SandboxOver
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig, connect
from contextrl_data.stages.coding.workspace import open_task

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first test waits for all programs

LIMITS = SandboxConfig(
    memory="256m", pids=64, output_bytes=100_000, file_bytes=64 << 20, disk_bytes=128 << 20, open_files=256
)
MARK = "contextrl-hostile-5f1c"
"""Stands in the command line of everything that tries to stay; the run's id is set behind it."""
BESIDE = 4
"""Programs at a time: most of them only wait."""
STAYS = f"python3 -c 'import time; time.sleep(600)' {MARK}"


@dataclass(frozen=True)
class Program:
    """A command, and how it must end."""

    command: str
    state: str = "ok"
    shows: str = ""
    """Stands in its output."""
    hides: str = ""
    """Does not stand in its output."""
    fails: bool = False
    timeout: float = 30.0


def python(code: str) -> str:
    return f"python3 - <<'CODE'\n{code}\nCODE"


def syscall(number: int, *args: str) -> str:
    """A bare system call, and what became of it."""
    arguments = ", ".join([f"ctypes.c_long({number})", *args])
    return python(
        f"import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.syscall({arguments}), os.strerror(ctypes.get_errno()))"
    )


def dial(family: str, kind: str, address: str) -> str:
    return python(
        f"import socket\ntry:\n s = socket.socket(socket.{family}, socket.{kind}); s.settimeout(2)\n"
        f" s.connect({address}); s.send(b'x'); print('REACHED')\nexcept OSError as error: print('refused', error)"
    )


PROGRAMS = {
    # more than its share
    "fork bomb": Program("bomb() { bomb | bomb & }; bomb; sleep 60", "timeout", timeout=2),
    "fork bomb in python": Program(
        python("import os\nwhile True:\n try: os.fork()\n except OSError: pass"), "timeout", timeout=2
    ),
    "thread bomb": Program(
        python("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()"),
        "timeout",
        shows="can't start new thread",
        timeout=8,
    ),
    "memory": Program("python3 -c 'bytearray(1 << 30)'", fails=True),
    "memory in small pieces": Program(python("kept = []\nwhile True: kept.append(' ' * 1000000)"), fails=True),
    "shared memory": Program(
        "for i in 1 2 3 4; do head -c 30M /dev/zero >/dev/shm/$i; done", shows="No space left", fails=True
    ),
    "every core": Program("for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait", "timeout", timeout=2),
    "open files": Program(
        python("kept = [open('/dev/null') for _ in range(10000)]"), shows="Too many open files", fails=True
    ),
    "one huge file": Program("head -c 1G /dev/zero >/tmp/huge; stat -c %s /tmp/huge", shows="67108864"),
    "a full disk": Program(
        "for i in $(seq 200); do head -c 60M /dev/zero >/tmp/$i; done; sleep 60", "disk_cap", timeout=60
    ),
    "a flood": Program("yes", "output_cap"),
    "a flood of errors": Program("yes >&2", "output_cap"),
    "a flood of zeros": Program("cat /dev/zero", "output_cap"),
    "a flood from a hidden child": Program("setsid yes & disown; exit 0", "output_cap"),
    # never to end
    "deaf to signals": Program(f"trap '' TERM INT HUP QUIT; {STAYS}", "timeout", timeout=2),
    "a session of its own": Program(f"setsid {STAYS} & sleep 60", "timeout", timeout=2),
    "two sessions of its own": Program(
        f"setsid bash -c 'setsid \"$@\" & disown' bash {STAYS} & sleep 60", "timeout", timeout=2
    ),
    "nohup": Program(f"nohup {STAYS} >/dev/null 2>&1 & sleep 60", "timeout", timeout=2),
    "stops itself": Program("kill -STOP $$", "timeout", timeout=2),
    "stops everything": Program("kill -STOP -1; sleep 60", "timeout", timeout=2),
    "kills the first process": Program("kill -9 1; sleep 1; echo alive", shows="alive"),
    "kills its parent": Program("kill -9 $PPID; echo alive", hides="alive", fails=True),
    # the network
    "tcp": Program(dial("AF_INET", "SOCK_STREAM", "('1.1.1.1', 80)"), shows="refused", hides="REACHED"),
    "udp": Program(dial("AF_INET", "SOCK_DGRAM", "('8.8.8.8', 53)"), shows="refused", hides="REACHED"),
    "ipv6": Program(dial("AF_INET6", "SOCK_STREAM", "('2606:4700:4700::1111', 80)"), shows="refused", hides="REACHED"),
    "cloud metadata": Program(
        dial("AF_INET", "SOCK_STREAM", "('169.254.169.254', 80)"), shows="refused", hides="REACHED"
    ),
    "the host's bridge": Program(
        dial("AF_INET", "SOCK_STREAM", "('172.17.0.1', 2375)"), shows="refused", hides="REACHED"
    ),
    "raw packets": Program(
        python("import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
        shows="Operation not permitted",
        fails=True,
    ),
    "names": Program(python("import socket\nprint(socket.gethostbyname('example.com'))"), shows="gaierror", fails=True),
    # the host
    "docker's socket": Program("ls /var/run/docker.sock /run/docker.sock", shows="No such file", fails=True),
    "mount": Program("mount -t tmpfs none /mnt", fails=True),
    "a namespace of its own": Program("unshare --user --map-root-user --mount true", fails=True),
    "the namespaces of the first process": Program("nsenter --target 1 --mount --net true", fails=True),
    "a device": Program("mknod /tmp/disk b 254 0", shows="not permitted", fails=True),
    "chroot": Program("chroot / true", shows="not permitted", fails=True),
    "another user": Program(python("import os\nos.setgid(4242); os.setuid(4242)"), shows="not permitted", fails=True),
    "set-user-id": Program(
        "cp /bin/bash /tmp/b && chmod u+s /tmp/b && /tmp/b -p -c 'grep NoNewPrivs /proc/self/status'",
        shows="NoNewPrivs:\t1",
    ),
    "the kernel's settings": Program("echo '|/tmp/x' >/proc/sys/kernel/core_pattern", shows="Read-only", fails=True),
    "a reset by sysrq": Program("echo b >/proc/sysrq-trigger", fails=True),
    "its own limits": Program("echo max >/sys/fs/cgroup/memory.max", fails=True),
    "the kernel's memory": Program("head -c 1 /proc/kcore | wc -c", shows="0"),
    "the clock": Program("date -s 2001-01-01", shows="not permitted", fails=True),
    "the host's name": Program("hostname owned", fails=True),
    "reboot": Program(syscall(169, "0xfee1dead", "672274793", "0x1234567"), shows="-1"),
    "a kernel module": Program(syscall(175, "0", "0", "b''"), shows="-1"),
    "bpf": Program(syscall(321, "0", "0", "0"), shows="-1"),
    "perf events": Program(syscall(298, "0", "0", "-1", "-1", "0"), shows="-1"),
    "another's keys": Program(syscall(250, "0", "-3", "1"), shows="-1"),
}
"""System calls are those of x86-64; elsewhere the numbers mean others, which are refused or harmless."""


IN_A_POD = {
    *("fork bomb in python", "a full disk", "a flood from a hidden child", "a session of its own", "stops everything"),
    *("kills the first process", "raw packets", "set-user-id", "its own limits"),
    *("a summary and a good exit", "a killed container"),
}
"""Programs and forgeries that run in a pod each time; the others do so in the campaign."""


def everywhere(names: Any) -> list[Any]:
    """Each name in Docker and in a pod."""
    far = [pytest.param(n, "kubernetes", marks=() if n in IN_A_POD else pytest.mark.campaign) for n in names]
    return [*((name, "docker") for name in names), *far]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = connect()
    small_repo.build(found, tmp_path_factory.mktemp("image"))
    yield found
    found.close()


def left_over(run_id: str) -> list[str]:
    """Processes of this host that carry the run's mark; a container's are among them where Docker runs here."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{MARK}-{run_id}" in words and "pytest" not in words:
            found.append(words)
    return found


def gone(client: Any, run_id: str) -> bool:
    for _ in range(100):
        if not client.api.containers(all=True, filters={"label": f"{LABEL}={run_id}"}) and not left_over(run_id):
            return True
        time.sleep(0.1)
    return False


def contain(client: Any, host: Any, name: str, run_id: str) -> None:
    """Run one of `PROGRAMS`, and see that nothing of it is left."""
    program = PROGRAMS[name]
    free = shutil.disk_usage("/").free
    with start_sandbox(host, small_repo.TAG, LIMITS, run_id) as sandbox:
        result = sandbox.exec(program.command.replace(MARK, f"{MARK}-{run_id}"), timeout=program.timeout)
        assert result.state == program.state, result.output[-500:]
        assert program.shows in result.output
        assert not program.hides or program.hides not in result.output
        assert not program.fails or result.exit_code != 0
        assert len(result.output) <= LIMITS.output_bytes
        assert sandbox.usable is (program.state == "ok")
        if sandbox.usable:
            assert sandbox.exec("echo still here").output == "still here\n"
    assert gone(client, run_id)
    assert shutil.disk_usage("/").free > free - (4 << 30)
    assert client.ping()


Ended = Callable[[pytest.FixtureRequest], None]


@pytest.fixture(scope="module")
def ended(client: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """All programs and forgeries that are to run here, some side by side; each test then asks how its own has ended.

    All have ended before the first test begins: pytest changes the environment between tests, which threads read.
    """
    work = {"test_a_hostile_program_is_contained": contain, "test_a_forged_result_is_not_resolved": forge}
    canary = tmp_path_factory.mktemp("host") / "canary"
    canary.write_text("untouched")
    found: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(BESIDE) as pool:
        for item in request.session.items:
            if item.path == request.path and (does := work.get(getattr(item, "originalname", ""))):
                name, where = item.callspec.params["name"], item.callspec.params["where"]  # type: ignore[attr-defined]
                host = client if where == "docker" else request.getfixturevalue("cluster")
                found[item.nodeid] = pool.submit(does, client, host, name, f"hostile-{uuid.uuid4().hex[:12]}")
    assert canary.read_text() == "untouched"
    return lambda asked: found[asked.node.nodeid].result()


@pytest.mark.parametrize(("name", "where"), everywhere(PROGRAMS))
def test_a_hostile_program_is_contained(ended: Ended, name: str, where: str, request: pytest.FixtureRequest) -> None:
    ended(request)


def test_a_container_that_kills_all_of_itself_gives_no_result(client: Any, run_id: str) -> None:
    with Sandbox(client, small_repo.TAG, LIMITS, run_id) as sandbox:
        sandbox.exec("sleep 0.3")
        with pytest.raises(SandboxOver):
            sandbox.exec("kill -9 -1; sleep 30")
    assert gone(client, run_id)


def test_what_a_hidden_child_writes_to_the_disk_counts_too(client: Any, run_id: str) -> None:
    with Sandbox(client, small_repo.TAG, LIMITS, run_id) as sandbox:
        command = "for i in $(seq 100); do head -c 60M /dev/zero >/tmp/$i; done"
        assert sandbox.exec(f"setsid bash -c '{command}; sleep 600' >/dev/null 2>&1 & disown").state == "ok"
        for _ in range(100):
            time.sleep(0.2)
            if not client.api.containers(filters={"label": f"{LABEL}={run_id}"}):
                break
        with pytest.raises(SandboxOver):
            sandbox.exec("true")
    assert gone(client, run_id)


def test_the_fix_is_nowhere_in_the_workspace(client: Any, run_id: str) -> None:
    look = (
        "git log --all --format=%H | wc -l; git reflog | wc -l; git stash list; git tag; git fsck --lost-found 2>/dev/null; "
        "git rev-list --objects --all | cut -d' ' -f1 | git cat-file --batch; grep -rI 'start + size' / "
        "--exclude-dir=proc --exclude-dir=sys --exclude-dir=usr 2>/dev/null; cat /proc/*/cmdline /proc/*/environ"
    )
    with open_task(client, small_repo.task("boundary"), SandboxConfig(), run_id) as sandbox:
        seen = sandbox.exec(look, timeout=60)
    assert seen.output.splitlines()[:2] == ["1", "1"]
    assert "start + size < len(values)" in seen.output
    assert small_repo.BUGS["boundary"][0] not in seen.output
    assert gone(client, run_id)


BUGGY = WINDOWS.replace(*small_repo.BUGS["boundary"])
HEADER = "=========================== short test summary info ============================"
PASSED = "\n".join([HEADER, *(f"PASSED {test}" for test in ALL_TESTS), "8 passed in 0.01s"]) + "\n"
HOOK = (
    "import pytest\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
    "    outcome = yield\n    outcome.get_result().outcome = 'passed'\n"
)
RUNS = f"import os\nos.write(1, {PASSED!r}.encode())\n"


def added(path: str, text: str) -> str:
    """The patch that adds one file."""
    body = "".join(f"+{line}\n" for line in text.splitlines())
    count = len(text.splitlines())
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n -0,0 +1,{count} \n{body}"


def inside(code: str) -> str:
    """The patch that runs code when the module under test is imported."""
    return diff("spans/windows.py", BUGGY, BUGGY.replace("\nfrom spans", f"\n{code}\nfrom spans"))


FORGERIES = {
    "a summary printed": inside(f"print({PASSED!r})"),
    "a summary past the capture": inside(f"import os\nos.write(1, {PASSED!r}.encode())"),
    "a summary when python ends": inside(f"import atexit, os\natexit.register(os.write, 1, {PASSED!r}.encode())"),
    "a summary by a child that stays": inside(
        f"import subprocess\nsubprocess.Popen(['bash', '-c', 'sleep 1; echo \"$0\"', {PASSED!r}], start_new_session=True)"
    ),
    "a good exit": inside("import atexit, os\natexit.register(os._exit, 0)"),
    "a summary and a good exit": inside(
        f"import atexit, os\natexit.register(os._exit, 0)\natexit.register(os.write, 1, {PASSED!r}.encode())"
    ),
    "an end before the tests": inside("import os\nos._exit(0)"),
    "an import that fails, and a summary": inside(
        f"import atexit, os\natexit.register(os.write, 1, {PASSED!r}.encode())\nraise ImportError('no')"
    ),
    "swebench's markers": inside(
        "import os\nos.write(1, b'\\n>>>>> End Test Output\\n>>>>> Test Exit Code: 0\\n>>>>> Start Test Output\\n')"
    ),
    "a conftest": added("conftest.py", HOOK),
    "a conftest beside the tests": added("tests/conftest.py", HOOK),
    "the tests themselves": diff("tests/test_windows.py", small_repo.TESTS, "def test_windows_of_two():\n    pass\n"),
    "tests that are gone": "diff --git a/tests/test_windows.py b/tests/test_windows.py\ndeleted file mode 100644\n"
    + diff("tests/test_windows.py", small_repo.TESTS, "")
    .split("\n", 1)[1]
    .replace("+++ b/tests/test_windows.py", "+++ /dev/null"),
    "a pytest of its own": added("pytest.py", RUNS),
    "a pytest package": added("pytest/__main__.py", RUNS) + added("pytest/__init__.py", RUNS),
    "pytest's insides": added("_pytest/__init__.py", RUNS),
    "a module that pytest needs": added("iniconfig.py", RUNS + "os._exit(0)\n"),
    "a module of the standard library": added("argparse.py", RUNS + "os._exit(0)\n"),
    "a package of the standard library": added("json/__init__.py", RUNS + "os._exit(0)\n"),
    "a module that python runs at its start": added("sitecustomize.py", RUNS + "os._exit(0)\n"),
    "a plugin by pytest.ini": added("pytest.ini", "[pytest]\naddopts = -p judge\n") + added("judge.py", HOOK),
    "a plugin by tox.ini": added("tox.ini", "[pytest]\naddopts = -p judge\n") + added("judge.py", HOOK),
    "a plugin by pyproject.toml": added("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-p judge"\n')
    + added("judge.py", HOOK),
    "no tests by pytest.ini": added("pytest.ini", "[pytest]\npython_functions = nothing\n"),
    "endless tests": inside("import time\ntime.sleep(600)"),
    "a killed shell": inside("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"),
    "a killed container": inside("import os, signal\nos.kill(-1, signal.SIGKILL)"),
}


STATUS = {"endless tests": "timeout", "an end before the tests": "infra_error", "a killed shell": "infra_error"}
"""Of the forgeries that are not plainly unresolved: no log that could be graded is no label."""


def forge(client: Any, host: Any, name: str, run_id: str) -> None:
    """Evaluate one of `FORGERIES`, and see that it earns what an honest look at it would."""
    config = EvaluateConfig(timeout=8 if name == "endless tests" else 60)
    try:
        verdict = evaluate_patch(host, small_repo.task(), FORGERIES[name], config, run_id)
    except SandboxOver:
        assert name == "a killed container"
    else:
        assert verdict.status == STATUS.get(name, "unresolved"), verdict.log_tail
    assert gone(client, run_id)


@pytest.mark.parametrize(("name", "where"), everywhere(FORGERIES))
def test_a_forged_result_is_not_resolved(ended: Ended, name: str, where: str, request: pytest.FixtureRequest) -> None:
    ended(request)


def test_the_campaign_is_as_large_as_the_page_says() -> None:
    told = (Path(__file__).parents[3] / "docs/coding.md").read_text()
    assert f"{len(PROGRAMS)} programs and {len(FORGERIES)} patches" in told
