"""What goes wrong for users of `build coding`: one line with the value and the remedy, or a row with its reason."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import small_repo
import yaml
from openai_server import Answer, OpenAIServer

from contextrl_data.pipeline import cli
from contextrl_data.stages.coding.daemon import OWNER_LABEL
from contextrl_data.stages.coding.image_build import IMAGE_LABEL, build_image, image_exists, one_file_context

if TYPE_CHECKING:
    import docker


@dataclass
class Told:
    """How a command ended."""

    code: object
    out: str
    err: str


@dataclass
class Shell:
    """Runs the command line inside this process, in a folder of its own; what it says is given back."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def build(self, *settings: str, config: str = "smoke/coding") -> Told:
        words = ["build", "coding", "--config", config]
        for setting in (f"run.root={self.folder}/runs", "run.workers=2", "run.retries=0", *settings):
            words += ["--set", setting]
        return self(*words)

    def __call__(self, *words: str) -> Told:
        self.monkeypatch.setattr(sys, "argv", ["contextrl-data", *words])
        self.capture.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        told = self.capture.readouterr()
        assert "Traceback" not in told.err + told.out
        return Told(code, told.out, told.err)

    def ledger(self, stage: str) -> dict[str, tuple[str, str, str]]:
        """Input row -> status, reason and message at a stage."""
        (path,) = (self.folder / "runs").glob(f"{stage}-*/ledger-00000.parquet")
        return {row["id"]: (row["status"], row["reason"], row["message"]) for row in pq.read_table(path).to_pylist()}


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    yield Shell(tmp_path, capsys, monkeypatch)
    assert not [path for path in tmp_path.rglob("*.part") if path.is_file()], "something half written was left"


SETTINGS = [
    ("packages.onyl=[parse]", "packages.onyl: no such setting; did you mean only?"),
    ("packages.only=[prase]", "packages.only names prase — known here: "),
    ("packages.only=parse", "packages.only: Input should be a valid tuple (got 'parse')"),
    ("tasks.deep=3", "tasks is 'packages', not a mapping"),
    ("mutate=3", "mutate: Input should be a valid dictionary"),
    ("mutate.functions=-2", "mutate.functions: Input should be greater than or equal to 1 (got -2)"),
    ("mutate.functions=many", "mutate.functions: Input should be a valid integer"),
    ("mutate.strategies=[nonsense]", "mutate.strategies: Value error, nonsense is none of them; known here: "),
    ("packages.reference_runs=0", "packages.reference_runs: Input should be greater than or equal to 1"),
    ("pick.max_tasks=-1", "pick.max_tasks: "),
    ("select.target_pairs=-5", "select.target_pairs: "),
    ("rollouts.command_timeout=-5", "rollouts.command_timeout: Input should be greater than 0"),
    ("rollouts.cost_limit=-1", "rollouts.cost_limit: "),
    ("rollouts.api.retries=-1", "rollouts.api.retries: "),
    ("evaluate.timeout=0", "evaluate.timeout: "),
    ("sandbox.memory=lots", "sandbox.memory: String should match pattern"),
    ("sandbox.cpus=0", "sandbox.cpus: "),
    ("run.workers=0", "run.workers: "),
    ("run.executor=slurm", "run.executor: "),
    ("rollouts.agent=litellm", "agent 'litellm' without a model — --set rollouts.model=openai/"),
    ("rollouts.api.model_kwargs.api_key=sk-1", "model_kwargs.api_key is a secret and does not belong in a config"),
    ("tasks=taskset", "tasks: taskset without a task set — name one with --set taskset.path="),
]


@pytest.mark.parametrize(("setting", "told"), SETTINGS, ids=[setting for setting, _ in SETTINGS])
def test_a_wrong_setting_is_told_before_anything_is_begun(shell: Shell, setting: str, told: str) -> None:
    ended = shell.build(setting)
    assert ended.code == 2
    assert told in ended.err
    assert "sk-1" not in ended.err
    assert not (shell.folder / "runs").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "c.yaml"),
        (b"mutate: [\n", "c.yaml:2 is not YAML"),
        (b"- mutate\n", "c.yaml holds a list, not a mapping"),
        (b"a: \xff\xfe\n", "cannot read config c.yaml"),
    ],
    ids=["folder", "no yaml", "list", "no text"],
)
def test_a_file_that_is_no_config(shell: Shell, content: bytes | None, told: str) -> None:
    path = shell.folder / "c.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    ended = shell.build(config="c.yaml")
    assert (ended.code, told in ended.err) == (2, True), ended.err


def test_without_docker_the_remedy_is_told(shell: Shell, refused_docker: str) -> None:
    ended = shell.build()
    assert ended.code == 2
    assert f"Docker does not answer at {refused_docker} (No such file or directory)" in ended.err
    assert "start Docker or set DOCKER_HOST" in ended.err
    assert not list((shell.folder / "runs").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("set.jsonl", "hello\n", "set.jsonl, line 1, is no JSON"),
        ("set.jsonl", "[1]\n", "row 1, is int, not an object"),
        ("set.jsonl", "", "set.jsonl holds no rows"),
        ("set.txt", "{}", "set.txt is no task file — give a .jsonl, .json or .parquet file"),
        ("set.parquet", "PAR1", "set.parquet cannot be read as parquet"),
        ("set.jsonl", '{"instance_id": "a"}\n', "has no column for problem_statement (looked for"),
        (None, "", "none.jsonl is no file"),
    ],
)
@pytest.mark.usefixtures("refused_docker")
def test_what_is_no_task_set(shell: Shell, name: str | None, text: str, told: str) -> None:
    path = shell.folder / (name or "none.jsonl")
    if name:
        path.write_text(text)
    ended = shell.build("tasks=taskset", f"taskset.path={path}")
    assert (ended.code, told in ended.err) == (2, True), ended.err
    assert not list((shell.folder / "runs").rglob("*.parquet"))


def test_runs_below_a_file_or_in_a_folder_that_cannot_be_made(shell: Shell) -> None:
    (shell.folder / "file").write_text("")
    for root in (shell.folder / "file", Path("/proc/none")):
        ended = shell.build(f"run.root={root}")
        assert ended.code == 2
        assert f"{root}" in ended.err
        assert "run.root=FOLDER" in ended.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("size", ["16k", "48k", "96k"])
@pytest.mark.usefixtures("refused_docker")
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(shell: Shell, size: str) -> None:
    disk = shell.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        rows = [row(id=f"small__spans-{n}", problem_statement=os.urandom(3000).hex()) for n in range(40)]
        ended = shell.build(*write_set(shell.folder / "set.jsonl", *rows), f"run.root={disk}")
        assert ended.code == 2
        assert f"cannot write {disk}" in ended.err or f"cannot make {disk}" in ended.err
        assert "No space left on device" in ended.err
        assert not [path for path in disk.rglob("*.part") if path.is_file()]
    finally:
        subprocess.run(["umount", disk], check=True)


def archive(folder: Path, tests: str = small_repo.TESTS) -> tuple[Path, str]:
    """A source archive of the small repository, and its hash."""
    path = folder / "spans-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name, text in {**small_repo.FILES, "tests/test_windows.py": tests}.items():
            info = tarfile.TarInfo(f"spans-1.0/{name}")
            info.size = len(text.encode())
            made.addfile(info, io.BytesIO(text.encode()))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def spans(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A package of our own, found by pip's settings; its config file is written by `package`."""
    monkeypatch.setenv("PIP_FIND_LINKS", f"{shell.folder} {os.environ.get('PIP_FIND_LINKS', '')}")
    return {
        "name": "spans-of-a-test",
        "version": "1.0",
        "filename": "spans-1.0.tar.gz",
        "repo": "small/spans",
        "licence": "MIT",
        "package_dir": "spans",
        "tests": ["tests"],
    }


def package(shell: Shell, spans: dict[str, Any], **more: Any) -> str:
    config = {
        "packages": {"packages": [{**spans, **more}]},
        "mutate": {"functions": 1, "per_function": 4, "min_lines": 1},
    }
    (shell.folder / "spans.yaml").write_text(yaml.safe_dump(config))
    return "spans.yaml"


@pytest.fixture
def no_image_left(docker_client: docker.DockerClient) -> Iterator[None]:
    """Images that a test builds of its own package go with it."""
    yield
    for image in docker_client.api.images("contextrl-data/spans-of-a-test"):
        docker_client.api.remove_image(image["Id"], force=True)


def own_containers(client: docker.DockerClient, pid: int) -> list[str]:
    found = client.api.containers(all=True, filters={"label": OWNER_LABEL})
    return [each["Id"] for each in found if f"|{pid}|" in each["Labels"][OWNER_LABEL]]


@pytest.mark.docker
@pytest.mark.usefixtures("base_image")
def test_an_archive_with_another_hash_is_refused(shell: Shell, spans: dict[str, Any]) -> None:
    _, digest = archive(shell.folder)
    pinned = "0" * 64
    ended = shell.build(config=package(shell, spans, sha256=pinned))
    assert ended.code == 2
    assert f"expected sha256 {pinned}, got {digest} — check the pin" in ended.err
    assert not list((shell.folder / "runs").rglob("*.parquet"))


@pytest.mark.docker
@pytest.mark.usefixtures("base_image", "no_image_left")
def test_a_package_without_tests_is_dropped_with_its_reason(shell: Shell, spans: dict[str, Any]) -> None:
    _, digest = archive(shell.folder, tests="")
    ended = shell.build(config=package(shell, spans, sha256=digest))
    assert ended.code == 2
    assert "contextrl-data status" in ended.err
    assert shell.ledger("packages") == {"spans-of-a-test-1.0": ("dropped", "no tests pass", "")}


@pytest.mark.docker
@pytest.mark.usefixtures("base_image", "no_image_left")
def test_a_removed_image_is_rebuilt_by_the_resumed_build(
    shell: Shell, spans: dict[str, Any], docker_client: docker.DockerClient
) -> None:
    _, digest = archive(shell.folder)
    config = package(shell, spans, sha256=digest)
    shell.build("pick.max_tasks=2", config=config)
    validated = shell.ledger("validate")
    assert [status for status, _, _ in validated.values()].count("kept") >= 1
    (path,) = (shell.folder / "runs").glob("packages-*/data-00000.parquet")
    (row,) = pq.read_table(path).to_pylist()
    docker_client.api.remove_image(row["image"], force=True)
    for done in (shell.folder / "runs").glob("validate-*/*.*"):  # as if it had been stopped at its very start
        done.unlink()
    shell.build("pick.max_tasks=2", config=config)
    assert shell.ledger("validate") == validated
    assert image_exists(docker_client, row["image"])
    made = docker_client.containers.run(
        row["image"], ["git", "rev-parse", "HEAD"], network_mode="none", remove=True, labels={OWNER_LABEL: "test"}
    )
    assert made.decode().strip() == row["commit"]


def heed_interrupts() -> None:
    """A test run in the background is born ignoring SIGINT, and so would be its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.docker
@pytest.mark.usefixtures("base_image", "no_image_left")
def test_stopped_or_killed_it_leaves_no_container_for_long(
    shell: Shell, spans: dict[str, Any], docker_client: docker.DockerClient
) -> None:
    slow = f"import time\n\ntime.sleep(600)\n{small_repo.TESTS}"
    _, digest = archive(shell.folder, tests=slow)
    config = package(shell, spans, sha256=digest)
    command = [sys.executable, "-m", "contextrl_data.pipeline.cli", "build", "coding", "--config", config]
    for number, code in ((signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGKILL, -9)):
        process = subprocess.Popen(
            [*command, "--set", "run.root=runs"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        )
        while not own_containers(docker_client, process.pid):
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate(timeout=300)
        assert process.returncode == code
        assert ("run the same command again to resume" in said) == (code == 130)
        assert "Traceback" not in said
        assert len(own_containers(docker_client, process.pid)) == (code == -9)
    package(shell, spans, sha256="0" * 64)  # any build begins by removing what the dead left behind
    assert shell.build(config=config).code == 2
    assert not own_containers(docker_client, process.pid)


def row(**changes: Any) -> dict[str, Any]:
    """One row of a task set."""
    task = {**small_repo.task(), **changes}
    names = {"id": "instance_id", "commit": "base_commit", "fail_to_pass": "FAIL_TO_PASS", "pass_to_pass": "P2P"}
    return {names.get(name, name): value for name, value in task.items()}


def write_set(path: Path, *rows: dict[str, Any]) -> list[str]:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return ["tasks=taskset", f"taskset.path={path}", "pick.min_per_function=1", "attempts.per_task=1"]


@pytest.fixture
def without_git(docker_client: docker.DockerClient, base_image: str) -> Iterator[str]:
    tag = f"test-without-git-{os.getpid()}:1"
    context = one_file_context(f"FROM {base_image}\nRUN rm /usr/bin/git\n")
    build_image(docker_client, context, tag, {IMAGE_LABEL: "test"}, network_mode="none")
    yield tag
    docker_client.api.remove_image(tag, force=True)


@pytest.mark.docker
def test_each_bad_task_ends_with_its_own_reason(
    shell: Shell, docker_client: docker.DockerClient, without_git: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    small_repo.build(docker_client, tmp_path_factory.mktemp("small"))
    good = row()
    settings = write_set(
        shell.folder / "set.jsonl",
        row(id="bad__gold-1", patch=good["patch"].replace("start + size", "begin + size")),
        row(id="bad__setup-1", setup_patch="not a patch"),
        row(id="no__git-1", image=without_git),
        row(id="no__image-1", image="127.0.0.1:1/no/such:1"),
        row(id="no__patch-1", patch="hello"),
    )
    ended = shell.build(*settings)
    assert ended.code == 2
    assert "contextrl-data status" in ended.err
    assert shell.ledger("tasksets")["no__patch-1"][:2] == ("dropped", "gold patch does not parse")
    fate = shell.ledger("rollouts")
    assert fate["bad__gold-1#0"][:2] == ("dropped", "fix does not fit the file")
    assert fate["bad__setup-1#0"][:2] == ("dropped", "setup patch does not apply")
    assert fate["no__git-1#0"][:2] == ("dropped", "image without git")
    assert fate["no__image-1#0"][:2] == ("failed", "registry")
    assert not own_containers(docker_client, os.getpid())
    status = shell("status", "--root", "runs").out
    assert "! rollouts" in status
    assert "127.0.0.1:1/no/such:1 is not here and cannot be pulled from 127.0.0.1:1" in status


@pytest.mark.docker
def test_a_model_server_that_answers_garbage_fails_the_row_and_says_so(
    shell: Shell,
    docker_client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_repo.build(docker_client, tmp_path_factory.mktemp("small"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    settings = write_set(shell.folder / "set.jsonl", row())
    settings += ["rollouts.agent=litellm", "rollouts.model=openai/served", "rollouts.api.retries=0"]
    with OpenAIServer([Answer(b"<html>nginx</html>")]) as server:
        ended = shell.build(*settings, f"rollouts.api.model_kwargs.api_base={server.url}")
    assert ended.code == 2
    ((state, boundary, message),) = shell.ledger("rollouts").values()
    assert (state, boundary) == ("failed", "model")
    assert message
    assert "sk-of-a-test" not in ended.out + ended.err + message
    assert not own_containers(docker_client, os.getpid())
