"""The command as its users meet it: a whole session, one line for every mistake, honest exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer
from hub_state import READ_WRITE, Fault
from publishing import REPO, corpus, write

FAKE = "ghp_" + "FAKEfake" * 4 + "FAKE"
WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
from contextrl_data.pipeline.cli import main
main()
"""


def cli(hub: HubServer, *words: object, token: str = READ_WRITE, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, perhaps as if a package were not installed."""
    environ = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": token, "COLUMNS": "200"}
    start = ["-c", WITHOUT, without] if without else ["-m", "contextrl_data.pipeline.cli"]
    command = [sys.executable, *start, "publish", *map(str, words)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)


def test_a_session(hub: HubServer, dataset: Path) -> None:
    shown = cli(hub, dataset, "--repo", REPO, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "nothing was sent" in shown.stdout
    done = cli(hub, dataset, "--repo", REPO)
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/datasets/{REPO}" in done.stdout
    assert hub.repos[REPO].private
    again = cli(hub, dataset, "--repo", REPO)
    assert "no commit made" in again.stdout
    assert len(hub.repos[REPO].commits) == 2


def test_public_is_asked_for(hub: HubServer, dataset: Path) -> None:
    assert cli(hub, dataset, "--repo", REPO, "--public").returncode == 0
    assert not hub.repos[REPO].private


def test_a_secret_ends_with_two_and_is_not_in_the_output(hub: HubServer, tmp_path: Path) -> None:
    rows = corpus(5)
    rows[0]["answer"] += FAKE
    folder = write(tmp_path / "dataset", rows)
    for words in ([], ["--dry-run"]):
        done = cli(hub, folder, "--repo", REPO, *words)
        assert done.returncode == 2
        assert rows[0]["id"] in done.stdout
        assert FAKE not in done.stdout + done.stderr
    assert cli(hub, folder, "--repo", REPO, "--allow-secrets", rows[0]["id"]).returncode == 0


@pytest.mark.parametrize(
    ("words", "token", "said"),
    [
        (["{dataset}", "--repo", "pairs"], READ_WRITE, "give --repo owner/name"),
        (["{dataset}", "--repo", "strangers/pairs"], READ_WRITE, "not yours"),
        (["{dataset}", "--repo", REPO], "", "set HF_TOKEN"),
        (["{dataset}", "--repo", REPO], "wrong", "does not accept the token"),
        (["/nowhere", "--repo", REPO], READ_WRITE, "no readable provenance.json"),
        (["{dataset}", "--repo", REPO, "--accept-licence", "all"], READ_WRITE, "it may be missing, unknown"),
    ],
)
def test_every_mistake_is_one_line(hub: HubServer, dataset: Path, words: list[str], token: str, said: str) -> None:
    done = cli(hub, *(word.format(dataset=dataset) for word in words), token=token)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_silent_hub_ends_in_one_line(hub: HubServer, dataset: Path) -> None:
    hub.faults = [Fault("GET", "whoami", "hang", times=100)]
    done = cli(hub, dataset, "--repo", REPO, "--timeout", "1")
    assert done.returncode == 2
    assert "did not answer (ReadTimeout)" in done.stderr


def test_offline_mode_is_named(hub: HubServer, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = cli(hub, dataset, "--repo", REPO)
    assert done.returncode == 2
    assert "offline mode is on — unset HF_HUB_OFFLINE" in done.stderr
    assert hub.calls == []


@pytest.mark.parametrize("package", ["kingfisher_sdk", "license_expression"])
def test_without_the_extra_nothing_is_published(hub: HubServer, dataset: Path, package: str) -> None:
    done = cli(hub, dataset, "--repo", REPO, without=package)
    assert done.returncode == 2
    assert "pip install 'contextrl-data[publish]'" in done.stderr
    assert not hub.repos
