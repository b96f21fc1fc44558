"""Publishing to a Hub that answers as it should, and loading what was published with the real libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_server import HubServer
from hub_state import READ_ONLY, READ_WRITE
from publishing import REPO, Publisher, RowList, corpus, write

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.card import read_provenance, write_card

LOAD = """
import json, sys
from datasets import load_dataset
loaded = load_dataset(sys.argv[1], revision=sys.argv[2])
print(json.dumps({split: list(part) for split, part in loaded.items()}))
"""
SNAPSHOT = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], repo_type="dataset", revision=sys.argv[2]))
"""


def elsewhere(script: str, hub: HubServer, home: Path, *words: str) -> str:
    """Run a script as somebody else would, with the Hub of the test as the Hub."""
    environ = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": READ_WRITE, "HF_HOME": str(home)}
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_published_loads_with_the_same_rows(
    publishing: Publisher, hub: HubServer, dataset: Path, tmp_path: Path
) -> None:
    done = publishing(dataset)
    assert done.committed
    assert hub.repos[REPO].tags == {done.tag: done.commit}
    loaded = json.loads(elsewhere(LOAD, hub, tmp_path / "home", REPO, done.tag))
    rows = corpus()
    assert loaded == {
        split: [row for row in rows if row["split"] == split] for split in ("train", "validation", "probe")
    }


def test_a_snapshot_holds_the_same_bytes_and_a_card_that_names_the_repository(
    publishing: Publisher, hub: HubServer, dataset: Path, tmp_path: Path
) -> None:
    done = publishing(dataset)
    there = Path(elsewhere(SNAPSHOT, hub, tmp_path / "home", REPO, done.tag).strip())
    names = {path.relative_to(dataset).as_posix() for path in dataset.rglob("*") if path.is_file()}
    assert {p.relative_to(there).as_posix() for p in there.rglob("*") if p.is_file()} == names | {".gitattributes"}
    for name in names - {"README.md"}:
        assert (there / name).read_bytes() == (dataset / name).read_bytes()
    card = (there / "README.md").read_text()
    assert f'load_dataset("{REPO}", split="train")' in card
    assert read_provenance(there)["key"] in card


def test_a_new_repository_is_private_unless_told_otherwise(
    publishing: Publisher, hub: HubServer, dataset: Path
) -> None:
    publishing(dataset)
    publishing(dataset, "me/open", private=False)
    assert hub.repos[REPO].private
    assert not hub.repos["me/open"].private


def test_a_dry_run_shows_the_plan_and_sends_nothing(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    done = publishing(dataset, dry_run=True)
    assert done.commit is None
    assert {one.state for one in done.plan.changes} == {"new"}
    assert {method for method, _, _ in hub.calls} == {"GET"}
    assert not hub.repos
    for said in ("data/train-00000-of-00003.parquet", "private, new", "MIT 40", "secrets: none", "nothing was sent"):
        assert said in publishing.said


def test_a_dry_run_needs_no_token_and_no_network(dataset: Path, hub: HubServer) -> None:
    alone = Publisher(hub, {"HF_ENDPOINT": hub.url})
    alone(dataset, dry_run=True)
    assert "the Hub was not asked" in alone.said
    assert hub.calls == []


def test_a_dry_run_is_content_with_a_token_that_may_only_read(
    publishing: Publisher, hub: HubServer, dataset: Path
) -> None:
    publishing(dataset)
    publishing.environ["HF_TOKEN"] = READ_ONLY
    done = publishing(dataset, dry_run=True)
    assert {one.state for one in done.plan.changes} == {"same"}


def test_publishing_again_makes_no_commit(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    first = publishing(dataset)
    before = len(hub.calls)
    second = publishing(dataset)
    assert (second.commit, second.committed) == (first.commit, False)
    assert "no commit made" in publishing.said
    assert {method for method, _, _ in hub.calls[before:]} == {"GET"}


def test_a_changed_dataset_is_one_commit_that_removes_what_is_gone(
    publishing: Publisher, hub: HubServer, dataset: Path, changed: Callable[..., Path]
) -> None:
    publishing(dataset)
    repo = hub.repos[REPO]
    picture = hub.put_regular(b"a picture that somebody added for the card")
    repo.commit("a picture", {**repo.commits[-1].files, "docs/picture.png": picture})
    commits = len(repo.commits)
    smaller = RowList(row for row in corpus() if row["split"] != "probe")
    done = publishing(changed(smaller))
    assert len(repo.commits) == commits + 1
    states = {one.name: one.state for one in done.plan.changes}
    assert states["data/probe-00000-of-00001.parquet"] == "gone"
    assert states["data/train-00000-of-00003.parquet"] == "same"
    assert states["README.md"] == "changed"
    assert "docs/picture.png" not in states
    left = set(repo.commits[-1].files)
    assert {"docs/picture.png", ".gitattributes"} <= left
    assert "data/probe-00000-of-00001.parquet" not in left
    assert len(repo.tags) == 2


def test_a_new_card_alone_is_a_commit_and_the_tag_stays(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    first = publishing(dataset)
    write_card(dataset, config={"select": {"seed": 7}})
    second = publishing(dataset)
    assert second.commit != first.commit
    assert {one.name for one in second.plan.add} == {"README.md", "provenance.json"}
    assert hub.repos[REPO].tags == {first.tag: first.commit}


def test_an_interrupted_publication_still_gets_its_tag(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    first = publishing(dataset)
    hub.repos[REPO].tags.clear()
    publishing(dataset)
    assert hub.repos[REPO].tags == {first.tag: first.commit}


def test_the_key_is_that_of_the_rows(tmp_path: Path) -> None:
    one, same = (read_provenance(write(tmp_path / name, corpus())) for name in ("one", "same"))
    other = read_provenance(write(tmp_path / "other", corpus(21)))
    assert one["key"] == same["key"] != other["key"]
    assert len(one["key"]) == 16


def test_files_that_are_not_on_record_stay_here(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    (dataset / "review.jsonl").write_text("{}\n")
    (dataset / ".env").write_text("A=1\n")
    publishing(dataset)
    assert not {"review.jsonl", ".env"} & set(hub.repos[REPO].commits[-1].files)
    assert "left out, not on the dataset's record: .env, review.jsonl" in publishing.said


def test_a_build_folder_stands_for_its_dataset(publishing: Publisher, hub: HubServer, tmp_path: Path) -> None:
    write(tmp_path / "coding-0123" / "dataset", corpus(5))
    publishing(tmp_path / "coding-0123")
    assert "provenance.json" in hub.repos[REPO].commits[-1].files


def test_somebody_elses_files_are_not_written_over(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.create(REPO, files={"train.csv": b"a,b\n"})
    with pytest.raises(InputError, match=r"did not publish \(train\.csv\)"):
        publishing(dataset)
    assert {method for method, _, _ in hub.calls} == {"GET"}


def test_a_repository_with_a_first_card_may_be_used(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.create(REPO, files={"README.md": b"soon\n", "LICENSE": b"mine\n"})
    assert publishing(dataset).committed


def test_a_public_repository_is_not_filled_unasked(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.create(REPO, private=False)
    with pytest.raises(InputError, match="is public on the Hub — add --public"):
        publishing(dataset)
    assert publishing(dataset, private=False).committed


def test_a_private_repository_stays_private(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.create(REPO)
    publishing(dataset, private=False)
    assert hub.repos[REPO].private
    assert "it stays private" in publishing.said


def test_large_files_go_in_parts(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    hub.multipart_above, hub.chunk = 4000, 5000
    done = publishing(dataset)
    assert done.committed
    assert any(path.endswith("/2") for path in hub.received)
