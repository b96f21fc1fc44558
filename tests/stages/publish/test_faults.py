"""Publishing to a Hub that fails, hangs, cuts connections and asks for patience: the result is the same, made once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer, wait_for
from hub_state import READ_ONLY, READ_WRITE, Fault
from publishing import REPO, Publisher

from contextrl_data.pipeline.errors import InputError, SetupError, UserError

CALLS = {
    "account": ("GET", "whoami"),
    "info": ("GET", r"/api/datasets/my-org/pairs$"),
    "tree": ("GET", "/tree/"),
    "refs": ("GET", "/refs$"),
    "create": ("POST", "repos/create"),
    "yaml": ("POST", "validate-yaml"),
    "preupload": ("POST", "/preupload/"),
    "batch": ("POST", "objects/batch"),
    "upload": ("PUT", "/storage/"),
    "verify": ("POST", "/verify/"),
    "commit": ("POST", "/commit/"),
    "tag": ("POST", "/tag/"),
}


def check_published_once(hub: HubServer, commit: str | None) -> None:
    repo = hub.repos[REPO]
    assert [one.title.split()[0] for one in repo.commits] == ["initial", "Publish"]
    assert repo.commits[-1].oid == commit
    assert list(repo.tags.values()) == [commit]
    assert {"README.md", "provenance.json", "data/train-00000-of-00003.parquet"} <= set(repo.commits[-1].files)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["status", "cut", "lost"])
def test_one_fault_anywhere_changes_nothing(
    publishing: Publisher, hub: HubServer, dataset: Path, call: str, kind: str
) -> None:
    hub.faults = [fault := Fault(*CALLS[call], kind)]
    done = publishing(dataset)
    assert fault.times == 0
    check_published_once(hub, done.commit)


def test_a_cut_in_the_middle_of_a_file_is_mended(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.faults = [Fault("PUT", "/storage/", "cut body")]
    check_published_once(hub, publishing(dataset).commit)


def test_an_address_for_an_upload_that_has_run_out_is_asked_for_again(
    publishing: Publisher, hub: HubServer, dataset: Path
) -> None:
    hub.faults = [Fault("PUT", "/storage/", "status", status=403)]
    check_published_once(hub, publishing(dataset).commit)
    assert len(hub.called("POST", "objects/batch")) == 2


@pytest.mark.parametrize("call", ["account", "info", "commit", "tag"])
def test_the_hub_says_how_long_to_wait(publishing: Publisher, hub: HubServer, dataset: Path, call: str) -> None:
    hub.faults = [Fault(*CALLS[call], "status", status=429, headers={"Retry-After": "7"})]
    check_published_once(hub, publishing(dataset).commit)
    assert publishing.slept == [7.0]
    assert "again in 7 s" in publishing.said


def test_the_hubs_own_rate_limit_header_counts(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    limit = {"RateLimit": '"api";r=0;t=55', "Retry-After": "3"}
    hub.faults = [Fault(*CALLS["commit"], "status", status=429, headers=limit)]
    check_published_once(hub, publishing(dataset).commit)
    assert publishing.slept == [56.0]


@pytest.mark.parametrize("call", ["tree", "commit"])
def test_a_silent_hub_is_asked_again(publishing: Publisher, hub: HubServer, dataset: Path, call: str) -> None:
    hub.faults = [Fault(*CALLS[call], "hang")]
    check_published_once(hub, publishing(dataset, silence=1.0).commit)


def test_a_commit_of_somebody_else_in_between_is_kept(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    publishing(dataset)
    repo = hub.repos[REPO]
    files = {**repo.commits[-1].files, "README.md": hub.put_regular(b"edited on the Hub\n")}
    repo.commit("edited", files)
    hub.faults = [Fault(*CALLS["commit"], "status", status=412)]
    done = publishing(dataset)
    assert [one.title.split()[0] for one in repo.commits] == ["initial", "Publish", "edited", "Publish"]
    assert repo.commits[-1].oid == done.commit


def test_what_was_uploaded_before_a_kill_is_not_sent_again(hub: HubServer, dataset: Path) -> None:
    hub.faults = [Fault("PUT", "/storage/", "hang", times=1000, skip=2)]
    environ = {**os.environ, "HF_TOKEN": READ_WRITE, "HF_ENDPOINT": hub.url, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "contextrl_data.pipeline.cli", "publish", str(dataset), "--repo", REPO]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        wait_for(lambda: len(hub.received) == 2)
        killed.kill()
    assert len(hub.repos[REPO].commits) == 1
    sent = dict(hub.received)
    hub.faults = []
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    check_published_once(hub, hub.repos[REPO].commits[-1].oid)
    assert {path: hub.received[path] for path in sent} == sent
    assert len(hub.received) == 5


def refusal(publishing: Publisher, dataset: Path, repo: str = REPO) -> UserError:
    with pytest.raises(UserError) as caught:
        publishing(dataset, repo)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    assert READ_WRITE not in str(caught.value) + publishing.said
    return caught.value


def test_a_hub_that_never_recovers_is_one_line(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.faults = [Fault(*CALLS["commit"], "status", status=503, times=100)]
    assert "it answered 503 every time" in str(refusal(publishing, dataset))
    assert publishing.slept == [1.0, 2.0, 4.0, 8.0]
    hub.faults = []
    sent = dict(hub.received)
    check_published_once(hub, publishing(dataset).commit)
    assert hub.received == sent


def test_no_network(publishing: Publisher, dataset: Path) -> None:
    publishing.environ["HF_ENDPOINT"] = "http://127.0.0.1:1"
    error = refusal(publishing, dataset)
    assert "did not answer (ConnectError)" in str(error)
    assert "HF_ENDPOINT" in error.remedy
    assert isinstance(error, SetupError)


def test_something_that_is_no_hub(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.faults = [Fault(*CALLS["account"], "status", status=200)]
    assert "does not answer as a Hub does" in str(refusal(publishing, dataset))


@pytest.mark.parametrize("token", ["", "   "])
def test_no_token(publishing: Publisher, hub: HubServer, dataset: Path, token: str) -> None:
    publishing.environ["HF_TOKEN"] = token
    assert "set HF_TOKEN to a token with write access" in refusal(publishing, dataset).remedy
    assert hub.calls == []


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("not-a-token", "does not accept the token"),
        (READ_ONLY, "may only read"),
        ("two words", "holds no token"),
        ("schlüssel", "holds no token"),
    ],
)
def test_a_token_that_will_not_do(publishing: Publisher, dataset: Path, token: str, said: str) -> None:
    publishing.environ["HF_TOKEN"] = token
    error = refusal(publishing, dataset)
    assert said in str(error)
    assert token not in str(error)


def test_a_name_that_is_not_ours(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    error = refusal(publishing, dataset, "strangers/pairs")
    assert "'strangers' is not yours on the Hub: the token is of 'me', in my-org" in str(error)
    assert "me/pairs" in error.remedy
    assert not hub.repos


@pytest.mark.parametrize("repo", ["pairs", "my-org/", "my-org/a b", "a/b/c", "my-org/pairs.git", "../x", "my-org/ä"])
def test_a_name_that_the_hub_would_not_take(publishing: Publisher, dataset: Path, repo: str) -> None:
    assert "is no name of a repository" in str(refusal(publishing, dataset, repo))


@pytest.mark.parametrize("call", ["create", "preupload", "commit"])
def test_a_token_without_the_right(publishing: Publisher, hub: HubServer, dataset: Path, call: str) -> None:
    hub.faults = [Fault(*CALLS[call], "status", status=403, times=100)]
    error = refusal(publishing, dataset)
    assert "may not" in str(error)
    assert "write access" in error.remedy


def test_a_repository_that_vanishes(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.faults = [Fault(*CALLS["commit"], "status", status=404)]
    error = refusal(publishing, dataset)
    assert "has no data set my-org/pairs" in str(error)
    assert isinstance(error, InputError)


def test_a_card_that_the_hub_refuses(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.faults = [Fault(*CALLS["yaml"], "status", status=400)]
    assert "README.md" in str(refusal(publishing, dataset))
    assert len(hub.repos[REPO].commits) == 1
