"""The difficulty filter: sampled choices, strict letters, the band."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, asked_text
from factories import pair_rows
from openai_server import Answer, say

from contextrl_data.pipeline.config import load
from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Keep, Outcome, Source, StageConfig
from contextrl_data.stages.difficulty import Difficulty, DifficultyConfig, chosen_letter
from contextrl_data.stages.rows import PAIR


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("A", "A"),
        (" B\n", "B"),
        ("(A)", "A"),
        ("**B**", "B"),
        ("A.", "A"),
        ("Answer: B", "B"),
        ("The correct option is A.", "A"),
        ("the answer is: **B**", "B"),
        ("Option A", "A"),
        ("The answer is option B", "B"),
        ("A\n\nThe first run looks at the function.", "A"),
        ("The first run looks at the function.\n\nAnswer: A", "A"),
        ("<think>A or B? B, I think</think>\nA", "A"),
        ("a", None),
        ("b.", None),
        ("It is a bug in a loop.", None),
        ("A bug in a loop", None),
        ("I choose a", None),
        ("A or B", None),
        ("A\nB", None),
        ("AB", None),
        ("C", None),
        ("", None),
        ("<think>B", None),
        ("Both A and B support it.", None),
    ],
)
def test_letters_are_read_strictly(reply: str, letter: str | None) -> None:
    assert chosen_letter(reply) == letter


class PairRowsConfig(StageConfig):
    count: int = 5
    """How many pairs."""


class PairRows(Source[PairRowsConfig]):
    name = "pair-rows"
    schema = PAIR

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number in range(self.config.count):
            row = pair_rows(number)[0]
            yield row["id"], Keep([row])


class Model:
    """Chooses rightly in `right[pair]` of eight samples; the pair is told by its patch."""

    def __init__(self, right: list[int], wrong: str = "") -> None:
        self.right, self.wrong = right, wrong
        self.seen = [0] * len(right)
        self.lock = threading.Lock()
        self.rows = [pair_rows(number)[0] for number in range(len(right))]

    def __call__(self, asked: dict[str, Any]) -> Answer:
        text = asked_text(asked)
        number = next(n for n, row in enumerate(self.rows) if row["answer"].rstrip() in text)
        with self.lock:
            self.seen[number] += 1
            good = self.seen[number] <= self.right[number]
        correct = self.rows[number]["correct_option"]
        return say(correct if good else self.wrong or ("B" if correct == "A" else "A"))


def run(server: ChatServer, tmp_path: Path, **config: Any) -> Finished:
    chat = {"model": "openai/m", "api_base": server.url, "cache_dir": tmp_path / "cache"}
    stage = Difficulty(DifficultyConfig.model_validate({"chat": chat, **config}))
    steps = [Step(PairRows(PairRowsConfig())), Step(stage, after="pair-rows")]
    return Runner(RunSettings(root=tmp_path / "runs", workers=2, retries=0)).run(steps)["difficulty"]


def test_pairs_inside_the_band_are_kept_with_their_rate(tmp_path: Path) -> None:
    model = Model([1, 2, 5, 6, 8])
    with ChatServer(model) as server:
        done = run(server, tmp_path)
        rates = [{one["name"]: one["value"] for one in row["measures"]} for row in done.rows]
        assert [(one["pass_rate"], one["pass_rate_unreadable"]) for one in rates] == [(0.25, 0.0), (0.625, 0.0)]
        assert done.manifest.dropped == {"too easy for the model": 2, "too hard for the model": 1}
        assert all(
            request["messages"][-1]["content"].endswith("Output A or B directly.") for request in server.requests
        )
        assert (len(server.requests), server.requests[0]["temperature"]) == (40, 1.0)


def test_the_word_a_is_not_an_answer(tmp_path: Path) -> None:
    with ChatServer(Model([3] * 5, wrong="I see a bug in a loop, a simple one.")) as server:
        done = run(server, tmp_path)
    assert done.manifest.kept == 5
    for row in done.rows:
        assert {"name": "pass_rate", "value": 0.375} in row["measures"]
        assert {"name": "pass_rate_unreadable", "value": 0.625} in row["measures"]


def test_a_band_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"low \(0.7\) is above high"):
        load(DifficultyConfig, None, ["low=0.7"])
