"""A dataset folder that is not what its record says is not published."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
from audit_records import audit_record
from hub_server import HubServer
from publishing import REPO, Publisher

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.card import write_card

TRAIN = "data/train-00000-of-00003.parquet"


def grow(folder: Path) -> None:
    with (folder / TRAIN).open("ab") as file:
        file.write(b"more")


def lose(folder: Path) -> None:
    (folder / TRAIN).unlink()


def record(folder: Path, **changes: object) -> None:
    path = folder / "provenance.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **changes}))


def head(folder: Path, text: str) -> None:
    card = folder / "README.md"
    card.write_text(text + card.read_text().split("---\n", 2)[2])


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed file": (grow, "is not the file that provenance.json lists"),
    "a lost file": (lose, "cannot read .*No such file"),
    "no record": (lambda folder: (folder / "provenance.json").unlink(), "no readable provenance"),
    "a record of something else": (lambda folder: (folder / "provenance.json").write_text("[]"), "lists no files"),
    "an empty dataset": (lambda folder: record(folder, rows=0, files=[]), "empty dataset|key"),
    "another key": (lambda folder: record(folder, key="0" * 16), "not that of its files"),
    "a file outside": (
        lambda folder: record(folder, key=None, files=[{"id": "../x", "bytes": 1, "sha256": ""}]),
        "not that of its files|outside the dataset",
    ),
    "no card": (lambda folder: (folder / "README.md").unlink(), "no readable card"),
    "a card without a head": (lambda folder: head(folder, ""), "head .* lacks which files make which split"),
    "a card with a broken head": (lambda folder: head(folder, "---\n{: \n---\n"), "lacks which files"),
    "a card without splits": (lambda folder: head(folder, "---\nlicense: mit\n---\n"), "lacks which files"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_line(publishing: Publisher, hub: HubServer, dataset: Path, case: str) -> None:
    break_it, said = CASES[case]
    break_it(dataset)
    with pytest.raises(InputError, match=said) as caught:
        publishing(dataset)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    assert not hub.repos


def test_an_older_dataset_without_a_key_gets_the_same_one(publishing: Publisher, dataset: Path) -> None:
    first = publishing(dataset, dry_run=True)
    path = dataset / "provenance.json"
    known = orjson.loads(path.read_bytes())
    del known["key"]
    path.write_bytes(orjson.dumps(known))
    assert publishing(dataset, dry_run=True).tag == first.tag


def add_view(folder: Path, text: str) -> None:
    """A view as the record lists it: one file of JSON lines, and the view's own record."""
    place = folder / "views/contextrl"
    place.mkdir(parents=True)
    data = orjson.dumps({"prompt": text, "correct_answer": "A"}) + b"\n"
    (place / "train.jsonl").write_bytes(data)
    (place / "view.json").write_text("{}")
    file = {"id": "train.jsonl", "split": "train", "rows": 1, "bytes": len(data), "sha256": sha256(data).hexdigest()}
    record(folder, views={"contextrl": {"files": [file]}})


def test_views_are_published_and_go_when_they_are_gone(publishing: Publisher, hub: HubServer, dataset: Path) -> None:
    before = (dataset / "provenance.json").read_bytes()
    add_view(dataset, "which one?")
    tag = publishing(dataset).tag
    assert {"views/contextrl/train.jsonl", "views/contextrl/view.json"} <= set(hub.repos[REPO].commits[-1].files)
    (dataset / "provenance.json").write_bytes(before)
    done = publishing(dataset)
    assert done.plan.delete == ["views/contextrl/train.jsonl", "views/contextrl/view.json"]
    assert done.tag == tag


def test_views_are_scanned_for_secrets_and_proved(publishing: Publisher, dataset: Path) -> None:
    add_view(dataset, "export GH=ghp_" + "FAKEfake" * 4 + "FAKE")
    with pytest.raises(InputError, match=r"row train\.jsonl 0, column prompt, github-pat"):
        publishing(dataset)
    (dataset / "views/contextrl/train.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"train\.jsonl is not the file"):
        publishing(dataset)


def test_a_card_says_what_it_lacks(publishing: Publisher, dataset: Path) -> None:
    card = dataset / "README.md"
    card.write_text(card.read_text().replace("## Citation", "## Thanks"))
    done = publishing(dataset, dry_run=True)
    assert done.report.card_lacks == ["the audit", "the citation", "the funnel (not on record)"]
    assert "card: lacks the audit, the citation" in publishing.said
    assert f"audit: not on record: contextrl-data audit {dataset} --write-card" in publishing.said


def test_a_failed_audit_is_told_and_stops_nothing(publishing: Publisher, dataset: Path) -> None:
    record(dataset, audit=audit_record())
    write_card(dataset)
    assert publishing(dataset, dry_run=True).report.refusal is None
    assert "audit: failed: longer, duplicate rows; 1 of 2 blind guessers at chance; 4 clusters" in publishing.said
    card = (dataset / "README.md").read_text()
    assert "| audit | failed: longer, duplicate rows; 1 of 2 blind guessers at chance; 4 clusters: too few |" in card
    assert "- The audit failed: longer, duplicate rows." in card
