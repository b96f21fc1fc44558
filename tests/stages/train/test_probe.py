"""The probe: its statistics, a model here, and the same model behind a server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_server import serve
from scipy import stats
from tiny_training import SHORT, toy_pair, write_split

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.stages.train.probe import ProbeResult, run_probe, score, table
from contextrl_data.stages.train.probe_config import ProbeConfig
from contextrl_data.stages.train.probe_server import read_label
from contextrl_data.stages.train.statistics import mean_interval, wilson

Probe = Callable[..., ProbeResult]


@pytest.fixture
def probe(model: Path, pairs: Path, tmp_path: Path) -> Probe:
    """Run the probe on the toy pairs; keywords replace settings."""

    def run(**changes: Any) -> ProbeResult:
        tree: dict[str, Any] = {
            "model": str(model),
            "pairs": {"dataset": str(pairs), "split": "probe", "max_tokens": 512, "template": SHORT, "limit": 24},
            "engine": {"cpu": True},
            "output": str(tmp_path / "probe"),
        }
        for name, value in changes.items():
            tree[name] = {**tree.get(name, {}), **value} if isinstance(value, dict) else value
        return run_probe(ProbeConfig.model_validate(tree))

    return run


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Any]:
    """The tiny model behind HTTP on the loopback."""
    with serve(model) as running:
        yield running


def choices_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "choices.jsonl").read_text().splitlines()]


def test_wilson_is_the_published_interval() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_in_bounds(trials: int, share: float) -> None:
    low, high = wilson(share * trials, trials)
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1


@pytest.mark.parametrize("seeds", [2, 3, 10, 31, 32])
def test_interval_over_seeds_is_student_t(seeds: int) -> None:
    values = [float(i) for i in range(seeds)]
    mean, low, high = mean_interval(values)
    assert mean == pytest.approx(np.mean(values))
    half = stats.t.ppf(0.975, seeds - 1) * stats.sem(values)
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=0.001 if seeds < 32 else 0.05)


def test_always_the_first_option_is_one_half_with_full_bias() -> None:
    choices = [
        {"id": str(i), "flipped": flipped, "correct": not flipped, "first": True}
        for i in range(50)
        for flipped in (False, True)
    ]
    found = score(choices)
    assert (found.accuracy, found.first_option, found.both_orders, found.unreadable) == (0.5, 1.0, 0.0, 0.0)
    assert found.low < 0.5 < found.high


def test_unreadable_answers_are_wrong_and_counted() -> None:
    found = score([{"id": "a", "correct": False, "first": None}, {"id": "a", "correct": True, "first": True}])
    assert (found.accuracy, found.unreadable) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("A", "A"),
        (" **B** ", "B"),
        ("Context A", "A"),
        ("Answer: (B).", "B"),
        ("<think>A? No: B.</think>\nB", "B"),
        ("Both look alike, but the answer is A.", "A"),
        ("a", None),
        ("A or B", None),
        ("A bad idea", None),
        ("I cannot tell.", None),
        ("", None),
    ],
)
def test_an_answer_is_read_strictly(said: str, label: str | None) -> None:
    assert read_label(said, ("A", "B")) == label


def test_probe_here_writes_choices_table_and_plot(probe: Probe, tmp_path: Path) -> None:
    found = probe()
    assert (found.overall.pairs, found.how) == (24, "logits")
    choices = choices_of(tmp_path / "probe")
    assert len(choices) == 48
    assert found.overall.accuracy == sum(c["margin"] > 0 for c in choices) / 48
    assert "kind: sibling" in found.slices
    assert table(found) in (tmp_path / "probe" / "probe.md").read_text()
    assert (tmp_path / "probe" / "probe.png").stat().st_size > 1000


def test_served_and_local_agree_on_every_choice(probe: Probe, server: Any, tmp_path: Path) -> None:
    here = probe()
    local = choices_of(tmp_path / "probe")
    served = probe(server={"url": server.url})
    assert served.how == "logprobs"
    assert served.overall == here.overall
    for ours, theirs in zip(local, choices_of(tmp_path / "probe"), strict=True):
        assert (ours["id"], ours["flipped"], ours["correct"]) == (theirs["id"], theirs["flipped"], theirs["correct"])
        assert ours["margin"] == pytest.approx(theirs["margin"], abs=1e-3)


def test_without_log_probabilities_samples_are_read(probe: Probe, server: Any) -> None:
    with server.without_logprobs():
        found = probe(server={"url": server.url}, pairs={"limit": 4})
    assert found.how == "samples"
    assert 0 <= found.overall.unreadable <= 1


REFUSALS = {  # as OpenAI's API says it of its newer models, and as servers do that allow no field that they do not know
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    "chat_template_kwargs": "Unrecognized request argument supplied: chat_template_kwargs",
}  # fmt: skip


@pytest.mark.parametrize("logprobs", [True, False])
def test_fields_that_a_server_refuses_are_left_out(
    probe: Probe, server: Any, monkeypatch: pytest.MonkeyPatch, logprobs: bool
) -> None:
    settings: dict[str, Any] = {"server": {"url": server.url, "workers": 1, "retries": 0}, "pairs": {"limit": 4}}
    monkeypatch.setattr(server, "logprobs", logprobs)
    expected = probe(**settings)
    monkeypatch.setattr(server, "unknown", REFUSALS)
    assert probe(**settings) == expected


def test_pairs_that_a_server_calls_too_long_are_counted(
    probe: Probe, server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [toy_pair(random.Random(i), str(i), words=4 + 40 * (i % 2)) for i in range(4)]
    write_split(tmp_path / "mixed", "probe", rows)
    monkeypatch.setattr(server, "context", 60)
    found = probe(server={"url": server.url}, pairs={"dataset": str(tmp_path / "mixed")})
    assert (found.overall.pairs, found.too_long) == (2, 2)
    monkeypatch.setattr(server, "context", 5)
    with pytest.raises(InputError, match=r"all 4 pairs of .* are longer than the context of .* longer one"):
        probe(server={"url": server.url}, pairs={"dataset": str(tmp_path / "mixed")})


def test_a_passing_failure_is_tried_again(probe: Probe, server: Any) -> None:
    with server.failing(503, times=2):
        found = probe(server={"url": server.url, "workers": 1}, pairs={"limit": 2})
    assert found.overall.pairs == 2


def test_a_refused_key_is_one_line_with_the_remedy(probe: Probe, server: Any) -> None:
    with server.failing(401, times=99), pytest.raises(SetupError, match="set OPENAI_API_KEY"):
        probe(server={"url": server.url})


def test_no_server_is_one_line_with_the_remedy(probe: Probe) -> None:
    with pytest.raises(SetupError, match=r"check server\.url"):
        probe(server={"url": "http://127.0.0.1:9/v1", "retries": 0})


def test_slices_follow_the_dataset(probe: Probe, tmp_path: Path) -> None:
    from datasets import load_dataset

    rows = [
        {**row, "domain": "chart" if i % 2 else "scene", "method": "edit", "tokens": i}
        for i, row in enumerate(load_dataset(str(probe_source(probe)), split="probe"))
    ]
    write_split(tmp_path / "sliced", "probe", rows)
    found = probe(pairs={"dataset": str(tmp_path / "sliced")})
    assert {name.partition(":")[0] for name in found.slices} == {"domain", "kind", "length", "method"}
    assert found.slices["domain: chart"].pairs + found.slices["domain: scene"].pairs == found.overall.pairs


def probe_source(probe: Probe) -> str:
    """The dataset that the fixture measures."""
    return probe(pairs={"limit": 1}).dataset
