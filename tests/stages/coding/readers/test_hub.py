"""A data set on the Hub, over a local server that speaks the part of its protocol that reading needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.pipeline.stage import Drop, Keep
from contextrl_data.stages.coding.readers.hub import HubFiles
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig

SAMPLES = Path(__file__).parents[4] / "data/samples/trajectories"
COMMIT = "c" * 40
FILES = {
    "README.md": b"# runs",
    "data/tool-00000-of-00001.jsonl": (SAMPLES / "swe_smith/tool.jsonl").read_bytes(),
    "data/xml-00000-of-00001.jsonl": (SAMPLES / "swe_smith/xml.jsonl").read_bytes(),
}


class Hub(BaseHTTPRequestHandler):
    """One public data set, `own/runs`."""

    asked: list[str]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name = self.path.partition(f"/datasets/own/runs/resolve/{COMMIT}/")[2].replace("%2F", "/")
        if self.path.split("?")[0] in ("/api/datasets/own/runs", "/api/datasets/own/runs/revision/v1"):
            info = {"id": "own/runs", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
            self.answer(200, json.dumps(info).encode())
        elif name in FILES:
            self.answer(200, FILES[name], ETag=f'"{hashlib.sha1(FILES[name]).hexdigest()}"')
        else:
            missing = "RevisionNotFound" if "own/runs" in self.path else "RepoNotFound"
            self.answer(404, b"{}", **{"X-Error-Code": missing})

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    handler = type("Hub", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    yield handler
    server.shutdown()
    server.server_close()


def outcomes(**config: Any) -> list[Any]:
    return [outcome for _, outcome in Trajectories(TrajectoriesConfig(path="own/runs", **config)).items()]


def test_all_files_are_read_at_the_pinned_commit(hub: type[Hub]) -> None:
    found = outcomes(revision="v1")
    assert [type(one) for one in found] == [Keep, Keep, Drop, Drop]
    assert found[0].rows[0]["source"] == "own/runs"
    assert all(COMMIT in line or "/api/" in line for line in hub.asked)
    once = len([line for line in hub.asked if line.startswith("GET /datasets")])
    outcomes(revision="v1")
    assert len([line for line in hub.asked if line.startswith("GET /datasets")]) == once == 2


def test_a_split_is_its_files_and_a_limit_fetches_no_more_than_it_needs(hub: type[Hub]) -> None:
    assert len(outcomes(split="xml")) == 2
    with pytest.raises(InputError, match="no data file of split 'train'"):
        outcomes(split="train")
    hub.asked.clear()
    assert len(outcomes(limit=1)) == 1
    assert not any("xml" in line for line in hub.asked)


def test_the_key_holds_the_commit_that_a_branch_points_at(hub: type[Hub]) -> None:
    stage = Trajectories(TrajectoriesConfig(path="own/runs"))
    pinned = Trajectories(TrajectoriesConfig(path="own/runs", revision=COMMIT))
    assert stage.fingerprint() == pinned.fingerprint()
    assert HubFiles("own/runs", "v1").commit() == COMMIT


def test_what_the_hub_does_not_have_is_one_line(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no revision 'v9'"):
        outcomes(revision="v9")
    with pytest.raises(InputError, match="no data set of this name") as caught:
        list(Trajectories(TrajectoriesConfig(path="own/nothing")).items())
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SetupError, match="did not answer"):
        outcomes()
