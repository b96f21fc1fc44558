"""What the judge was not sure of goes out to a person and comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, asked_text
from judged_pairs import pairs, vote
from openai_server import Answer

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.stages.chat import ChatConfig
from contextrl_data.stages.chat_judge import ChatJudge, ChatJudgeConfig
from contextrl_data.stages.review import Review, ReviewConfig


def doubtful(asked: dict[str, Any]) -> Answer:
    return vote(asked, "UNCERTAIN", "leakage") if "doubt" in asked_text(asked) else vote(asked)


def build(server: ChatServer, root: Path, **config: Any) -> dict[str, Finished]:
    chat = ChatConfig(model="openai/judge", api_base=server.url, cache_dir=root / "cache")
    steps = [
        Step(pairs(["", "doubt", "doubt", "", "doubt"])),
        Step(ChatJudge(ChatJudgeConfig(chat=chat)), after="pairs"),
        Step(Review(ReviewConfig(**config)), after="judge"),
    ]
    return Runner(RunSettings(root=root / "runs", workers=2)).run(steps)


def test_uncertain_pairs_wait_for_a_person_whose_verdicts_are_picked_up(tmp_path: Path) -> None:
    with ChatServer(doubtful) as server:
        first = build(server, tmp_path)["review"]
        assert [row["id"] for row in first.rows] == ["pair-0", "pair-3"]
        assert first.manifest.dropped == {"waits for review": 3}
        path = first.folder.files / "review.jsonl"
        assert first.manifest.notes["message"] == "3 pairs wait for a person"
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        assert [one["id"] for one in entries] == ["pair-1", "pair-2", "pair-4"]
        assert entries[0]["doubt"] == "leakage"
        assert "evidence_first1" in entries[0]["first"]["context"]
        assert "+new_second1" in entries[0]["second"]["patch"]

        entries[0]["verdict"], entries[1]["verdict"], entries[2]["note"] = "valid", "INVALID", "later"
        filled = tmp_path / "filled.jsonl"
        filled.write_text("\n".join(map(json.dumps, entries)))
        asked = len(server.requests)
        done = build(server, tmp_path, verdicts=[filled])
        second = done["review"]
        assert done["judge"].reused
        assert (
            Review(ReviewConfig(), [filled]).fingerprint()
            == Review(ReviewConfig(verdicts=[filled])).fingerprint()
            != ""
        )
        assert len(server.requests) == asked
        assert [(row["id"], row["judge"], row["verdict"]) for row in second.rows] == [
            ("pair-0", "openai/judge", "VALID"),
            ("pair-1", "person", "VALID"),
            ("pair-3", "openai/judge", "VALID"),
        ]
        assert second.manifest.dropped == {"refused in review": 1, "waits for review": 1}
        assert second.manifest.notes["decided"] == {"INVALID": 1, "VALID": 1}
        assert second.manifest.notes["message"] == "1 pairs wait for a person"
        other = tmp_path / "other.jsonl"
        other.write_text(json.dumps({"id": "nope", "verdict": "VALID"}))
        strange = build(server, tmp_path, verdicts=[other])["review"]
        assert "; 1 verdicts are of no pair of this build" in strange.manifest.notes["message"]

        entries[2]["note"] = "still later"
        filled.write_text("\n".join(map(json.dumps, entries)))
        assert build(server, tmp_path, verdicts=[filled])["review"].reused
        entries[2]["verdict"] = "INVALID"
        filled.write_text("\n".join(map(json.dumps, entries)))
        third = build(server, tmp_path, verdicts=[filled])["review"]
        assert third.manifest.dropped == {"refused in review": 2}
        assert not (third.folder.files / "review.jsonl").exists()


def test_pairs_may_go_on_unreviewed_and_say_so(tmp_path: Path) -> None:
    with ChatServer(doubtful) as server:
        done = build(server, tmp_path, keep_uncertain=True)["review"]
    assert [row["verdict"] for row in done.rows] == ["VALID", "UNCERTAIN", "UNCERTAIN", "VALID", "UNCERTAIN"]
    assert (done.folder.files / "review.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "filled.jsonl:1 is no line"),
        ('{"verdict": "VALID"}', "filled.jsonl:1 is no line"),
        ('{"id": "p", "verdict": "maybe"}', "'MAYBE' is no verdict"),
        ('{"id": "p", "verdict": "VALID"}\n\n{"id": "p", "verdict": "INVALID"}', "filled.jsonl:3: p is both"),
    ],
)
def test_a_review_file_with_a_mistake_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    filled = tmp_path / "filled.jsonl"
    filled.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Review(ReviewConfig(verdicts=[filled])).fingerprint()
    assert caught.value.remedy
    with pytest.raises(InputError, match="cannot be read"):
        Review(ReviewConfig(verdicts=[tmp_path / "none.jsonl"])).fingerprint()
