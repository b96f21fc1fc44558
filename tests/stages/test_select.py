"""Selection on real pair rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from factories import pair_rows

from contextrl_data.pipeline.stage import Gathered, Row
from contextrl_data.stages.audit import summarise
from contextrl_data.stages.audit.measure import measure
from contextrl_data.stages.audit.pairs import Pair, as_text
from contextrl_data.stages.audit.rare_words import rare_word_scores
from contextrl_data.stages.select import SelectConfig, SelectPairs


class RowList(list[Row]):
    """Rows in memory, with the reading interface of a stored stage."""

    def select(self, columns: list[str]) -> Iterator[Row]:
        return ({column: row[column] for column in columns} for row in self)


def run(rows: list[Row], **settings: Any) -> tuple[list[Row], Gathered]:
    found = SelectPairs(SelectConfig(**settings)).gather(RowList(rows))
    return list(found.rows), found


def corpus(count: int) -> list[Row]:
    return [row for n in range(count) for row in pair_rows(n, kind="outcome" if n % 4 == 0 else "sibling")]


def test_the_baselines_end_at_chance_and_the_cost_is_reported() -> None:
    rows = corpus(200)
    for row in rows[:300]:  # plant a cue: in most pairs the answer's identifiers give C+ away
        row["blind_scores"][0]["value"] = 1.0
    kept, found = run(rows, target_pairs=400, per_group=50)
    before = {one["name"]: one for one in found.notes["baselines_before"]}
    assert before["identifiers"]["low"] > 0.5
    assert all(one["low"] <= 0.5 <= one["high"] for one in found.notes["baselines"])
    assert all(one.at_chance for one in summarise({s["name"]: s["value"] for s in row["blind_scores"]} for row in kept))
    assert found.notes["cost_of_balancing"] == 400 - len(kept) > 0
    assert found.notes["left_out_for"]["identifiers"] > 0
    assert "identifiers" in found.notes["message"]


def test_every_row_is_kept_or_dropped_and_both_directions_stay_together() -> None:
    rows = corpus(60)
    kept, found = run(rows, target_pairs=50)
    assert {row["id"] for row in kept} | found.dropped.keys() == {row["id"] for row in rows}
    assert not {row["id"] for row in kept} & found.dropped.keys()
    assert set(Counter(row["pair_id"] for row in kept).values()) == {2}
    assert len(kept) == 50


def test_a_lone_direction_is_dropped_unless_allowed() -> None:
    rows = corpus(20)[:-1]
    kept, found = run(rows, target_pairs=100)
    assert found.dropped == {rows[-1]["id"]: "one direction only"}
    kept, found = run(rows, target_pairs=100, both_directions=False)
    assert len(kept) == 39


def test_the_target_is_missed_with_one_line() -> None:
    _, found = run(corpus(5), target_pairs=1000)
    assert found.notes["message"] == "selected 10 of 10 pairs, 990 fewer than target_pairs"


def test_no_rows_at_all() -> None:
    kept, found = run([])
    assert kept == []
    assert found.notes["message"] == "selected 0 of 0 pairs"


def test_one_repository_does_not_fill_the_set() -> None:
    rows = [row for n in range(60) for row in pair_rows(n, repo="a/a" if n < 50 else "b/b")]
    kept, found = run(rows, target_pairs=60, max_source_share=0.5, per_group=99)
    assert Counter(row["repo"] for row in kept) == {"a/a": 30, "b/b": 20}
    assert "cap per repository reached" in found.dropped.values()


def test_words_that_are_rare_among_all_contexts_do_not_give_the_answer_away() -> None:
    rows = corpus(120)
    for row in rows[:140]:  # a word of the answer stands in its own context alone
        word = f"total_{row['instance_pos'].rpartition('-')[2]}"
        row["context_pos"] = [*row["context_pos"], {"role": "assistant", "content": f"THOUGHT: it is {word}."}]
    kept, found = run(rows, target_pairs=240, per_group=50)
    before = {one["name"]: one for one in found.notes["baselines_before"]}
    after = {one["name"]: one for one in found.notes["baselines"]}
    assert before["rare_words"]["low"] > 0.5
    assert after["rare_words"]["low"] <= 0.5 <= after["rare_words"]["high"]
    assert found.notes["left_out_for"]["rare_words"] > 0
    scores = [{one["name"]: one["value"] for one in row["blind_scores"]} for row in kept]
    assert {one.name: one.at_chance for one in summarise(scores)}["rare_words"]
    pairs = [
        Pair(row["id"], "", row["answer"], contexts=(as_text(row["context_pos"]), as_text(row["context_neg"])))
        for row in rows
    ]
    audited = rare_word_scores(*_as_the_audit_does(pairs))
    as_audited = dict(zip((pair.id for pair in pairs), audited.tolist(), strict=True))
    assert [score["rare_words"] for score in scores] == [as_audited[row["id"]] for row in kept]


def _as_the_audit_does(pairs: list[Pair]) -> tuple[list[Any], list[Any]]:
    measured = [measure(pair) for pair in pairs]
    texts = {text.key: text.words for one in measured for text in one.texts or ()}
    return list(texts.values()), [one.shared for one in measured]
