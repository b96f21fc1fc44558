from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.images.select import ImageSelectConfig, SelectImages


class Listed(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


def both(
    pair: str, pictures: tuple[str, str], answers: tuple[str, str] = ("46 °C", "44 °C"), **changed: Any
) -> list[Row]:
    """The two directions of a pair, with the columns that selection reads."""
    shared = {
        "pair_id": pair,
        "question": "What temperature does the thermometer show?",
        "domain": "science",
        "method": "rerendered",
        "group": f"scene {pair}",
        "source": "drawn",
        "blind_scores": [{"name": "larger_file", "value": 0.5}],
        **changed,
    }
    return [
        {
            **shared,
            "id": f"{pair}-{name}",
            "answer": answers[side],
            "image_id_pos": pictures[side],
            "image_id_neg": pictures[1 - side],
        }
        for name, side in (("forward", 0), ("reverse", 1))
    ]


def chosen(rows: list[Row]) -> tuple[set[str], dict[str, str]]:
    found = SelectImages(ImageSelectConfig(per_context=9)).gather(Listed(rows))
    return {row["pair_id"] for row in found.rows}, dict(found.dropped)


@pytest.mark.parametrize(
    "again",
    [
        both("b", ("cold", "warm"), method="mined"),
        both("b", ("warm", "cold"), ("44 °C", "46 °C"), method="mined"),
    ],
    ids=["same direction", "other direction first"],
)
def test_two_scenes_that_came_out_as_the_same_pair_count_once(again: list[Row]) -> None:
    kept, dropped = chosen([*both("a", ("cold", "warm")), *again])
    assert kept == {"a"}
    assert dropped == {"b-forward": "the same as another pair", "b-reverse": "the same as another pair"}


@pytest.mark.parametrize(
    "other",
    [
        both("b", ("cold", "warm"), question="Is it warmer than 45 °C?"),
        both("b", ("cold", "warm"), ("44 °C", "46 °C")),
        both("b", ("cold", "hot")),
    ],
    ids=["question", "answers", "pictures"],
)
def test_pairs_that_differ_in_anything_stay(other: list[Row]) -> None:
    assert chosen([*both("a", ("cold", "warm")), *other]) == ({"a", "b"}, {})
