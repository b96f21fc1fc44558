"""Mining through the engine: who is paired with whom, who is dropped and why, the caps, two encoders, questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs the extra [images]")
pytest.importorskip("sklearn", reason="needs the extra [images]")

from image_rows import Table, embedded, image_id, picture, question

from contextrl_data.pipeline.config import load
from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Runner
from contextrl_data.pipeline.stage import Context, Keep, Outcome, Row, Source, StageConfig
from contextrl_data.stages.images.mine import Mine, MineConfig
from contextrl_data.stages.images.questions import asked
from contextrl_data.stages.images.rows import EMBEDDED, QUESTION


def near(*similarities: float, width: int = 16) -> list[np.ndarray]:
    """A vector, and one at each cosine to it; they stand apart from each other in directions of their own."""
    base = np.eye(1, width)[0]
    found = [base]
    for place, similarity in enumerate(similarities, 1):
        found.append(similarity * base + np.sqrt(1 - similarity**2) * np.eye(width)[place])
    return [each.astype(np.float16) for each in found]


def mine(
    rows: list[Row], vectors: list[np.ndarray], folder: Path, second: list[np.ndarray] | None = None, **config: Any
) -> tuple[list[Row], Any]:
    """The pairs, and what else was gathered; one vector a row."""
    sides = {"vectors": embedded({row["image_id"]: vector for row, vector in zip(rows, vectors, strict=True)})}
    if second is not None:
        sides["second"] = embedded({row["image_id"]: vector for row, vector in zip(rows, second, strict=True)})
    stage = Mine(MineConfig.model_validate(config))
    stage.open(Context(folder=folder, sides=sides))
    gathered = stage.gather(Table(rows))
    return list(gathered.rows), gathered


def ids(pairs: list[Row]) -> set[tuple[str, str]]:
    return {(pair["first"]["id"], pair["second"]["id"]) for pair in pairs}


def test_like_pictures_with_another_answer_to_the_same_question_are_pairs(tmp_path: Path) -> None:
    rows = [
        question(0, answer="2"),
        question(1, answer="3"),
        question(2, answer="two"),
        question(3, answer="7"),
        question(4, answer="4", group="how long"),
        question(5, answer="unknown"),
    ]
    pairs, gathered = mine(rows, near(0.9, 0.95, 0.5, 0.9, 0.9), tmp_path, min_similarity=0.8)
    assert ids(pairs) == {("q00000", "q00001"), ("q00001", "q00002")}
    assert gathered.dropped == {
        "q00003": "no like picture with another answer",
        "q00004": "no like picture with another answer",
        "q00005": "answer says nothing",
    }
    assert gathered.funnel[-2:] == [("pairs inside groups", 2), ("under the caps", 2)]
    pair = next(pair for pair in pairs if pair["first"]["id"] == "q00000")
    assert pair["similarity"] == pytest.approx(0.9, abs=1e-3)
    assert pair["first"] == rows[0]
    assert pair["second"]["image"]["bytes"] == picture(1)
    assert list(tmp_path.iterdir()) == []


def test_copies_scenes_and_one_picture_with_two_answers_are_no_pairs(tmp_path: Path) -> None:
    rows = [
        question(0, answer="2"),
        question(1, answer="3"),
        question(2, answer="3", scene="s"),
        question(3, answer="4", scene="s"),
        question(4, picture(0), answer="9"),
    ]
    vectors = near(0.999, 0.9, 0.92)
    pairs, _ = mine(rows, [*vectors, vectors[0]], tmp_path, min_similarity=0.8)
    assert ("q00000", "q00001") not in ids(pairs), "a copy"
    assert ("q00002", "q00003") not in ids(pairs), "one scene"
    assert ("q00000", "q00004") not in ids(pairs), "one picture"
    assert ids(pairs) >= {("q00000", "q00002"), ("q00000", "q00003")}


def test_letters_are_compared_by_what_they_stand_for(tmp_path: Path) -> None:
    rows = [
        question(0, answer="A", choices=["red", "blue"]),
        question(1, answer="B", choices=["blue", "red"]),
        question(2, answer="A", choices=["blue", "red"]),
    ]
    pairs, _ = mine(rows, near(0.9, 0.9), tmp_path, min_similarity=0.5)
    assert ids(pairs) == {("q00000", "q00002"), ("q00001", "q00002")}


def test_one_picture_stands_in_few_pairs_the_most_alike_first(tmp_path: Path) -> None:
    rows = [question(number, answer=str(number)) for number in range(6)]
    vectors = near(0.95, 0.94, 0.93, 0.92, 0.91)
    pairs, gathered = mine(rows, vectors, tmp_path, min_similarity=0.9, max_per_image=2)
    assert ids(pairs) == {("q00000", "q00001"), ("q00000", "q00002")}
    assert gathered.dropped == dict.fromkeys(["q00003", "q00004", "q00005"], "over the caps")


def test_a_cap_counts_the_picture_whatever_it_is_asked(tmp_path: Path) -> None:
    rows = [question(0, answer="1"), question(1, answer="2")]
    rows += [question(number + 10, picture(number), answer=str(number), group="another") for number in (0, 1)]
    vectors = near(0.95)
    pairs, _ = mine(rows, [*vectors, *vectors], tmp_path, max_per_image=1)
    assert len(pairs) == 1


def test_two_encoders_that_must_disagree(tmp_path: Path) -> None:
    rows = [question(number, answer=str(number)) for number in range(3)]
    pairs, _ = mine(rows, near(0.95, 0.94), tmp_path, second=near(0.9, 0.3), max_second=0.6)
    assert ids(pairs) == {("q00000", "q00002"), ("q00001", "q00002")}
    pairs = [pair for pair in pairs if pair["first"]["id"] == "q00000"]
    scores = {score["name"]: score["value"] for score in pairs[0]["scores"]}
    assert scores["similarity_second"] == pytest.approx(0.3, abs=1e-3)


def test_what_has_no_vector_is_dropped_with_its_reason_and_nothing_at_all_is_no_crash(tmp_path: Path) -> None:
    rows = [question(number, answer=str(number)) for number in range(2)]
    stage = Mine(MineConfig())
    stage.open(Context(folder=tmp_path, sides={"vectors": embedded({rows[0]["image_id"]: near()[0]})}))
    gathered = stage.gather(Table(rows))
    assert list(gathered.rows) == []
    assert gathered.dropped["q00001"] == "its picture has no vector"
    stage.open(Context(folder=tmp_path, sides={"vectors": embedded({})}))
    assert list(stage.gather(Table([])).rows) == []


def test_vectors_of_two_dimensions_are_one_line(tmp_path: Path) -> None:
    rows = [question(number, answer=str(number)) for number in range(9)]
    with pytest.raises(InputError, match="vectors of 16 and of 8 numbers"):
        mine(rows, [*(near() * 7), *(near(width=8) * 2)], tmp_path)


def test_bounds_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="no pair could fit"):
        load(MineConfig, None, ["min_similarity=0.99"])


class ManyConfig(StageConfig):
    count: int = 60


class Many(Source[ManyConfig]):
    name = "questions"
    schema = QUESTION

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number in range(self.config.count):
            row = question(number, picture(number, 16), str(number % 4), ("how many", "what")[number % 2])
            yield row["id"], Keep([row])


class Vectors(Source[ManyConfig]):
    name = "vectors"
    schema = EMBEDDED

    def items(self) -> Iterator[tuple[str, Outcome]]:
        rng = np.random.default_rng(0)
        base = rng.normal(size=(3, 32))
        for number in range(self.config.count):
            vector = base[number % 3] + 0.2 * rng.normal(size=32)
            name = image_id(picture(number, 16))
            yield name, Keep([{"id": name, "vector": (vector / np.linalg.norm(vector)).astype(np.float16)}])


def test_the_engine_gets_every_row_accounted_for_and_the_same_bytes_again(tmp_path: Path) -> None:
    def run(root: Path, device: str) -> Any:
        config = MineConfig(min_similarity=0.5, max_per_image=3, device=device)
        steps = [
            Step(Many(ManyConfig())),
            Step(Vectors(ManyConfig())),
            Step(Mine(config), after="questions", beside={"vectors": "vectors"}),
        ]
        return Runner(RunSettings(root=root)).run(steps)["mine"]

    first, second = run(tmp_path / "a", "numpy"), run(tmp_path / "b", "auto")
    manifest = first.manifest
    assert manifest.rows_in == 60 == manifest.kept + sum(manifest.dropped.values())
    assert manifest.digest == second.manifest.digest
    rows = list(first.rows)
    assert manifest.rows_out == len(rows) > 20
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    per_image = Counter(row[side]["image_id"] for row in rows for side in ("first", "second"))
    assert max(per_image.values()) <= 3
    for row in rows:
        assert row["first"]["question_group"] == row["second"]["question_group"]
        assert row["first"]["answer"] != row["second"]["answer"]
        assert image_id(row["first"]["image"]["bytes"]) == row["first"]["image_id"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How many dogs are in the picture?", "how many dogs are there"),
        ("What is the color of the car?", "What colour is the car?"),
        ("What's shown in this image?", "What is shown?"),
    ],
)
def test_the_same_question_in_other_words(one: str, other: str) -> None:
    assert asked(one) == asked(other)


def test_across_groups_the_questions_must_mean_the_same(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="needs the extra [faiss]")
    texts = [
        ("How many dogs are in the picture?", "2"),
        ("how many dogs are there?", "3"),
        ("How many cats are in the picture?", "4"),
        ("How many dogs do you see?", "two"),
        ("Is the cat left of the dog?", "yes"),
        ("Is the dog left of the cat?", "no"),
    ]
    rows = [
        question(number, answer=answer, group=text) | {"question": text} for number, (text, answer) in enumerate(texts)
    ]
    across = {"index": "exact"}
    pairs, gathered = mine(rows, near(0.95, 0.94, 0.93, 0.92, 0.91), tmp_path, min_similarity=0.8, across=across)
    assert ids(pairs) == {("q00000", "q00001"), ("q00001", "q00003")}
    assert {score["name"]: score["value"] for score in pairs[0]["scores"]}["question_similarity"] == 1.0
    assert dict(gathered.funnel)["pairs across groups"] == 2
    assert gathered.notes["across"] == "exact"
