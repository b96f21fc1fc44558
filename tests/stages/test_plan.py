"""`build --plan` for every shipped config, with real prices, no Docker and no network."""

from __future__ import annotations

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from rich.console import Console
from typer.testing import CliRunner

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.cli import app
from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.pipeline.estimate import Estimate
from contextrl_data.stages.coding.build import plan_coding_pairs
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.images.build import plan_image_pairs
from contextrl_data.stages.images.config import ImagesConfig
from contextrl_data.stages.prices import price_of

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "data" / "samples" / "trajectories" / "pairs.jsonl"
BUILDS = sorted(name for name in configs.shipped() if not {"train", "compare"} & set(name.split("/")))
FACTOR = 1.3
"""By how much the estimate of the default may be off at any stage, from yields that were measured on the demo."""

pytestmark = pytest.mark.usefixtures("refused_docker")


def plan(name: str, root: Path, *settings: str) -> tuple[Estimate, str]:
    console = Console(file=io.StringIO(), width=200)
    given = [f"run.root={root}", *settings]
    if name.endswith("images"):
        pytest.importorskip("matplotlib")
        found = plan_image_pairs(configs.load(ImagesConfig, configs.find(name), given), console)
    else:
        found = plan_coding_pairs(configs.load(CodingConfig, configs.find(name), given), console)
    return found, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", BUILDS)
def test_every_shipped_config_can_be_planned(name: str, tmp_path: Path) -> None:
    settings = [f"trajectories.path={SAMPLES}"] if name == "trajectories" else []
    found, told = plan(name, tmp_path, *settings)
    assert {one.state for one in found.stages} == {"to do"}
    assert all(one.rows_out > 0 for one in found.stages)
    assert found.calls == 0
    assert (found.containers > 0) == (name in ("coding", "demo", "smoke/coding"))
    assert "to do: " in told
    assert not list(tmp_path.iterdir())


def test_the_demos_yields_foretell_the_recorded_run_of_the_default(tmp_path: Path) -> None:
    """docs/coding.md holds what a run of the default printed; nothing of it is among the shipped yields."""
    page = (ROOT / "docs" / "coding.md").read_text()
    lines = [line.split("|") for line in page.splitlines() if re.match(r"\| [a-z]+ \| [\d,]+ \|", line)]
    recorded = {cells[1].strip(): int(cells[4].strip().replace(",", "")) for cells in lines if len(cells) > 8}
    found, _ = plan("coding", tmp_path)
    for one in found.stages:
        assert one.rows_out == pytest.approx(recorded[one.stage], rel=FACTOR - 1), one.stage
    counted = int(re.search(r"Containers counted: ([\d,]+)", page)[1].replace(",", ""))  # type: ignore[index]
    assert counted / FACTOR < found.containers < counted * FACTOR


def test_an_agent_is_priced_by_litellm_and_bounded_by_its_limit(tmp_path: Path) -> None:
    agent = ["rollouts.agent=litellm", "rollouts.model=openai/gpt-4o-mini"]
    found, told = plan("demo", tmp_path, *agent)
    rollouts = next(one for one in found.stages if one.stage == "rollouts")
    assert rollouts.calls == pytest.approx(38.7 * rollouts.rows_in)
    assert rollouts.dollars == pytest.approx(rollouts.calls * (price_of("openai/gpt-4o-mini", 13_600, 230) or 0.0))
    assert rollouts.most_dollars == pytest.approx(3.0 * rollouts.rows_in)
    assert "264 published mini-swe-agent runs" in told
    served = ["rollouts.agent=litellm", "rollouts.model=openai/served"]
    found, told = plan("demo", tmp_path, *served)
    assert next(one for one in found.stages if one.stage == "rollouts").dollars is None
    assert "set rollouts.api.input_price and rollouts.api.output_price" in told
    named = [*served, "rollouts.api.input_price=1", "rollouts.api.output_price=2"]
    found, _ = plan("demo", tmp_path, *named)
    rollouts = next(one for one in found.stages if one.stage == "rollouts")
    assert rollouts.dollars == pytest.approx((rollouts.prompt_tokens + 2 * rollouts.completion_tokens) / 1e6, rel=1e-3)


def test_a_judge_and_a_filter_are_counted_by_their_votes(tmp_path: Path) -> None:
    chat = "chat: {model: openai/gpt-4o-mini}"
    found, _ = plan("demo", tmp_path, f"judge={{kind: chat, votes: 5, {chat}}}", f"difficulty={{samples: 4, {chat}}}")
    stages = {one.stage: one for one in found.stages}
    assert stages["judge"].calls == pytest.approx(5 * stages["judge"].rows_in)
    assert stages["difficulty"].calls == pytest.approx(4 * stages["difficulty"].rows_in)
    assert found.dollars > 0


def test_many_calls_are_not_priced_as_one_long_one(tmp_path: Path) -> None:
    tiered = "gemini/gemini-2.5-pro"  # twice as dear beyond 200,000 tokens
    found, _ = plan("demo", tmp_path, f"judge={{kind: chat, votes: 5, chat: {{model: {tiered}}}}}")
    judge = next(one for one in found.stages if one.stage == "judge")
    whole = price_of(tiered, round(judge.prompt_tokens), round(judge.completion_tokens))
    assert judge.dollars == pytest.approx(judge.calls * (price_of(tiered, 20_000, 60) or 0.0))
    assert whole is not None
    assert judge.dollars < 0.7 * whole


def test_sets_are_counted_where_they_are_and_told_by_the_thousand_elsewhere(tmp_path: Path) -> None:
    here = ROOT / "data" / "samples" / "tasksets" / "swe_smith.jsonl"
    found, _ = plan("coding", tmp_path, "tasks=taskset", f"taskset.path={here}")
    assert found.stages[0].rows_in == len(here.read_text().splitlines())
    far = ["tasks=taskset", "taskset.path=owner/name", f"taskset.revision={'1a' * 20}"]
    found, told = plan("coding", tmp_path, *far)
    assert found.stages[0].rows_in == 1000
    assert "the size of owner/name: told for 1,000 rows" in told
    found, _ = plan("coding", tmp_path, *far, "taskset.limit=50")
    assert found.stages[0].rows_in == 50


def test_the_hub_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = HubServer()
    with server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        found, told = plan("trajectories", tmp_path, "trajectories.path=owner/name")
        server.shutdown()
    assert server.calls == []
    assert "finished work is looked for only before trajectories" in told
    assert found.stages[0].rows_in == 1000


def test_a_plan_in_a_file_is_what_a_program_reads(tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    arguments = ["build", "coding", "--config", "smoke/coding", "--set", f"run.root={tmp_path}/runs", "--plan"]
    done = CliRunner().invoke(app, [*arguments, "--json", str(out)])
    assert done.exit_code == 0, done.output
    record: dict[str, Any] = json.loads(out.read_text())
    assert [one["stage"] for one in record["stages"]][:2] == ["packages", "mutate"]
    assert record["to_do"]["containers"] == pytest.approx(sum(one["containers"] for one in record["stages"]))
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ConfigError, match="without --plan"):
        CliRunner().invoke(app, ["build", "coding", "--json", str(out)], catch_exceptions=False)
