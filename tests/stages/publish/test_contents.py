"""A dataset folder that is not what its record says is not published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hub_server import HubServer
from publishing import Publisher

from contextrl_data.pipeline.errors import InputError

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


def test_a_card_says_what_it_lacks(publishing: Publisher, dataset: Path) -> None:
    card = dataset / "README.md"
    card.write_text(card.read_text().replace("## Citation", "## Thanks"))
    done = publishing(dataset, dry_run=True)
    assert done.report.card_lacks == ["the citation", "the funnel (not on record)"]
    assert "card: lacks the citation" in publishing.said
