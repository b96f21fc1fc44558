"""The documentation tells the truth: its commands parse, its settings exist, its snippets run, its links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner
from view_sets import write_image_set

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.cli import app
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.images.config import ImagesConfig
from contextrl_data.stages.train.compare_config import CompareConfig
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.probe_config import ProbeConfig

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODELS: dict[str, Any] = {
    "build coding": CodingConfig,
    "build images": ImagesConfig,
    "audit": AuditConfig,
    "train": TrainConfig,
    "probe": ProbeConfig,
    "compare": CompareConfig,
}
"""Command -> what its `--config` and `--set` are read into."""
COMMAND = re.compile(r"^(?: {4})?(?:accelerate launch[^$\n]*\$\(which )?contextrl-data\)? ([^#\n]*)", re.M)
SAMPLE = "data/samples/trajectories/pairs.jsonl"


def commands() -> list[tuple[str, str]]:
    """(page, command line) of everything that the documentation tells a reader to type."""
    found: dict[tuple[str, str], None] = {}
    for page in PAGES:
        for match in COMMAND.finditer(page.read_text().replace("\\\n", " ")):
            line = f"contextrl-data {match[1].strip()}"
            if "[OPTIONS]" not in line:  # a usage line, made from the parser itself
                found[str(page.relative_to(ROOT)), line] = None
    return list(found)


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """Name and values of a command line, as the real parser reads it."""
    words = shlex.split(line)[1:]
    command: Any = typer.main.get_command(app)
    name: list[str] = []
    while hasattr(command, "commands"):
        name.append(words.pop(0))
        command = command.commands[name[-1]]
    return " ".join(name), command.make_context(" ".join(name), words).params


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: str(value)[:60])
def test_commands_parse_and_their_settings_exist(page: str, line: str) -> None:
    name, values = parsed(line)
    settings = [*(values.get("settings") or [])]
    if name in MODELS and "..." not in line:
        if name == "probe":
            settings += [f"model={values['model']}", f"pairs.dataset={values['dataset']}"]
        file = values.get("config")
        shown = file if file in configs.shipped() else None
        assert file is None or shown or file.startswith("my"), f"{page}: no shipped config {file}"
        configs.load(MODELS[name], configs.find(shown) if shown else None, settings)


def test_there_are_commands_to_look_at() -> None:
    assert len(commands()) > 20
    assert ("README.md", "contextrl-data status") in commands()


def test_the_reference_is_current() -> None:
    done = subprocess.run([sys.executable, str(ROOT / ".dev/reference.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_what_else_the_pages_tell_to_run_is_there() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.M)) <= targets
    scripts = set(re.findall(r"python (tests/\S+?\.py|\.dev/\S+?\.py)", text))
    assert len(scripts) > 8
    assert all((ROOT / script).is_file() for script in scripts)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command of docs/trajectories.md makes of the shipped samples; needs no Docker."""
    root = tmp_path_factory.mktemp("docs") / "runs"
    line = f"build coding --config trajectories --set trajectories.path={SAMPLE}"
    assert f"contextrl-data {line}" in (ROOT / "docs/trajectories.md").read_text()
    run(*line.split(), "--set", f"run.root={root}")
    return next(root.glob("coding-*")) / "dataset"


def run(*words: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "contextrl_data.pipeline.cli", *words], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ELSEWHERE = {
    r"build (coding|images)(?!.*(--plan|trajectories)).*": "tests/stages/{}/test_build.py",  # Docker, or minutes
    r"build coding .*FILE_OR_FOLDER": "tests/stages/coding/test_trajectories_build.py",  # both, in every format
    r"audit org/name .*": "tests/stages/audit/test_bad_input.py",  # the Hub, told apart from what is on the disk
    r"publish (?!.*--dry-run).*": "tests/stages/publish/test_publish.py",  # against a Hub on loopback
    r"tasks .*": "tests/stages/coding/test_tasks_docker.py",  # a build that ran in Docker
    r"train .*": "tests/stages/train/test_cli.py",
    r"probe .*": "tests/stages/train/test_probe.py",
    r"compare .*": "tests/stages/train/test_compare.py",
}
"""Commands that need more than this machine's disk -> the file whose tests run them, on small models and sets."""


def runnable() -> list[str]:
    """Every command of the documentation that needs no Docker, model or Hub, once."""
    lines = dict.fromkeys(line.removeprefix("contextrl-data ") for _, line in commands())
    return [line for line in lines if not any(re.fullmatch(shape, line) for shape in ELSEWHERE)]


@pytest.fixture(scope="module")
def desk(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything lies that the documentation's commands name."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "data/runs").mkdir(parents=True)
    shutil.copytree(dataset.parent.parent, folder / "data/runs", dirs_exist_ok=True)
    build = next((folder / "data/runs").glob("coding-*/dataset")).parent
    for name in ("coding-<key>", "coding-KEY", "coding-0123456789abcdef"):
        (folder / "data/runs" / name).symlink_to(build)
    for name in ("pairs", "my-dataset", "DATASET"):
        (folder / name).symlink_to(build / "dataset")
    for name in ("images", "my-images"):
        write_image_set(folder / name)
    shutil.copytree(ROOT / "data/samples", folder / "data/samples")
    shutil.copy(ROOT / SAMPLE, folder / "my_runs.jsonl")
    (folder / "review.jsonl").write_text("")
    words = [f"word_{n}" for n in range(30)]
    theirs = [
        {"prompt": "q", "response": words[n], "meta": {"patch": words[n]}, "chosen": words[:n], "rejected": words[n:]}
        | {"label": "AB"[n % 2], "licence": "MIT"}
        for n in range(1, 29)
    ]
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in theirs))
    return folder


@pytest.mark.parametrize("line", runnable())
def test_every_command_runs_as_it_is_written(line: str, desk: Path) -> None:
    words = shlex.split(line)
    if "--out" in words:  # two pages may write the same folder
        shutil.rmtree(desk / words[words.index("--out") + 1], ignore_errors=True)
    with chdir(desk):
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 or (line == "doctor" and done.exit_code == 1), done.output


def test_what_does_not_run_here_runs_in_a_test_of_its_own() -> None:
    assert len(runnable()) > 25
    for shape, file in ELSEWHERE.items():
        for name in ("coding", "images"):
            assert (ROOT / file.format(name)).is_file(), shape


def test_a_build_of_existing_runs_has_no_tasks_to_write(dataset: Path) -> None:
    command = [sys.executable, "-m", "contextrl_data.pipeline.cli", "tasks", "--root", str(dataset.parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "made no tasks — name one with `tasks: packages`" in done.stderr


def snippets() -> list[tuple[str, str]]:
    """(page, code) of every Python block that names a dataset, with its path left to fill in.

    Those of docs/export.md need the trainers that they are about: tests/stages/views/test_snippets.py runs them.
    """
    blocks = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
    return [
        (str(page.relative_to(ROOT)), code)
        for page in PAGES
        if page.name != "export.md"
        for code in blocks.findall(page.read_text())
    ]


@pytest.mark.parametrize(("page", "code"), snippets(), ids=lambda value: str(value)[:30])
def test_python_snippets_run(page: str, code: str, dataset: Path, tmp_path: Path) -> None:
    code = code.replace("data/runs/coding-<key>/dataset", str(dataset)).replace(
        "data/samples", str(ROOT / "data/samples")
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, f"{page}: {done.stderr}"
