"""Rollouts: the real agent in real containers, its model behind a real HTTP server, and every way that it goes wrong."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import small_repo
from openai_server import HANG, Answer, OpenAIServer, call, error, say

from contextrl_data.pipeline.calls import read_calls
from contextrl_data.pipeline.errors import ConfigError, RowFailure
from contextrl_data.pipeline.stage import Context, Keep, Outcome
from contextrl_data.pipeline.store import StageFolder
from contextrl_data.stages.coding.agent_models import ApiConfig
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend
from contextrl_data.stages.coding.rollouts import Attempts, AttemptsConfig, RolloutConfig, Rollouts
from contextrl_data.stages.coding.sandbox import connect
from contextrl_data.stages.coding.scripted import ScriptedConfig

pytestmark = pytest.mark.docker

RUN = "test-rollouts"
KEY = "sk-test-never-to-be-seen-0123456789"
FIX = "sed -i 's/start + size < len/start + size <= len/' spans/windows.py"
PATCH = "git diff -- spans/windows.py > patch.txt && cat patch.txt"
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat patch.txt"
FIXED_LINE = "+    while start + size <= len(values):"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = connect()
    small_repo.build(found, tmp_path_factory.mktemp("image"))
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _key_set_and_no_container_left(client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    yield
    assert client.containers.list(all=True, filters={"label": f"contextrl-data={RUN}"}) == []


def attempt(number: int = 0, **changes: Any) -> dict[str, Any]:
    outcome = Attempts(AttemptsConfig(per_task=number + 1)).process(small_repo.task(**changes))
    assert isinstance(outcome, Keep)
    return outcome.rows[number]


def roll(config: RolloutConfig, row: dict[str, Any], folder: Path) -> Outcome:
    stage = pickle.loads(pickle.dumps(Rollouts(config)))
    stage.open(Context(folder=folder, run_id=RUN))
    try:
        outcome: Outcome = stage.process(row)
        return outcome
    finally:
        stage.close()


def ask(server: OpenAIServer, folder: Path, mode: str = "tool_call", retries: int = 2, **more: Any) -> Outcome:
    api = ApiConfig(
        model_kwargs={"api_base": server.url},
        mode=mode,  # type: ignore[arg-type]
        retries=retries,
        backoff_seconds=0.01,
        request_timeout=more.pop("request_timeout", 30.0),
    )
    config = RolloutConfig(agent="litellm", model="openai/served", api=api, **more)
    return roll(config, attempt(), folder)


def kept(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Keep)
    (row,) = outcome.rows
    assert KEY not in json.dumps(row)
    return row


def test_attempts_are_rows_of_their_own() -> None:
    outcome = Attempts(AttemptsConfig(per_task=2)).process(small_repo.task())
    assert isinstance(outcome, Keep)
    assert [(row["id"], row["instance_id"], row["attempt"]) for row in outcome.rows] == [
        ("small__spans.1.boundary#0", "small__spans.1.boundary", 0),
        ("small__spans.1.boundary#1", "small__spans.1.boundary", 1),
    ]


def test_a_model_with_tool_calls(tmp_path: Path) -> None:
    with OpenAIServer([call("cat spans/windows.py"), call(FIX), call(PATCH), call(SUBMIT)]) as server:
        row = kept(ask(server, tmp_path))
    assert server.keys[0] == f"Bearer {KEY}"
    assert row["id"] == "small__spans.1.boundary.served.0"
    assert (row["exit_status"], row["model"], row["resolved"]) == ("Submitted", "openai/served", None)
    assert FIXED_LINE in row["patch"]
    assert "patch.txt" not in row["patch"]
    roles = [message["role"] for message in row["messages"]]
    assert roles == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]
    assert row["messages"][4]["content"] == f"THOUGHT: next.\n\n```bash\n{FIX}\n```"
    assert row["messages"][3]["content"].startswith("<returncode>0</returncode>\n<output>\n")


def test_a_model_that_writes_text(tmp_path: Path) -> None:
    answers = [say(f"THOUGHT: so.\n\n```mswea_bash_command\n{step}\n```") for step in (FIX, PATCH, SUBMIT)]
    with OpenAIServer(answers) as server:
        row = kept(ask(server, tmp_path, mode="text"))
    assert "tools" not in server.requests[0]
    assert FIXED_LINE in row["patch"]
    assert row["messages"][2]["content"] == f"THOUGHT: so.\n\n```bash\n{FIX}\n```"
    assert row["messages"][3]["role"] == "user"


@pytest.mark.timeout(120)
def test_a_rate_limit_is_waited_for_as_long_as_the_server_asks(tmp_path: Path) -> None:
    answers = [error(429, "slow down", Retry_After="0"), call(FIX), call(PATCH), call(SUBMIT)]
    with OpenAIServer(answers) as server:
        api = ApiConfig(model_kwargs={"api_base": server.url}, backoff_seconds=100_000.0, longest_pause=100_000.0)
        row = kept(roll(RolloutConfig(agent="litellm", model="openai/served", api=api), attempt(), tmp_path))
    assert row["exit_status"] == "Submitted"
    assert len(server.requests) == 4


def test_every_call_is_paid_also_one_that_the_agent_cannot_use(tmp_path: Path) -> None:
    answers = [error(500), call("", arguments='{"command": "ls'), call(FIX), call(PATCH), call(SUBMIT)]
    with OpenAIServer(answers) as server:
        api = ApiConfig(
            model_kwargs={"api_base": server.url}, backoff_seconds=0.01, input_price=100.0, output_price=200.0
        )
        kept(roll(RolloutConfig(agent="litellm", model="openai/served", api=api), attempt(), tmp_path))
    calls = list(read_calls(StageFolder(tmp_path)))
    assert [(call.attempt, call.status) for call in calls] == [
        (1, "InternalServerError"),
        (2, "ok"),
        (1, "ok"),
        (1, "ok"),
        (1, "ok"),
    ]
    assert {(call.stage, call.row) for call in calls} == {("rollouts", "small__spans.1.boundary#0")}
    assert [call.dollars for call in calls] == [None, *[pytest.approx(0.002)] * 4]
    assert api.model_dump() == api.model_copy(update={"input_price": None, "output_price": None}).model_dump()


def test_a_price_from_the_config_ends_an_attempt_too(tmp_path: Path) -> None:
    with OpenAIServer([call("ls")] * 4) as server:
        api = ApiConfig(model_kwargs={"api_base": server.url}, input_price=1e5, output_price=0.0)
        config = RolloutConfig(agent="litellm", model="openai/served", api=api, cost_limit=2.5)
        row = kept(roll(config, attempt(), tmp_path))
    assert row["exit_status"] == "LimitsExceeded"
    assert len(server.requests) == 3, "each call takes a dollar"


def test_malformed_calls_are_told_to_the_model(tmp_path: Path) -> None:
    answers = [
        call("", arguments='{"command": "ls'),
        call("", tool="python"),
        call(FIX),
        call(PATCH),
        call(SUBMIT),
    ]
    with OpenAIServer(answers) as server:
        row = kept(ask(server, tmp_path))
    told = [message["content"] for message in row["messages"] if "Tool call error" in message["content"]]
    assert "Error parsing tool call arguments" in told[0]
    assert "Unknown tool 'python'" in told[1]
    assert FIXED_LINE in row["patch"]


def test_a_model_that_never_acts_ends_its_run(tmp_path: Path) -> None:
    with OpenAIServer([say("I would rather not.")]) as server:
        row = kept(ask(server, tmp_path))
    assert (row["exit_status"], row["patch"]) == ("RepeatedFormatError", "")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (error(500, "broken"), 3),
        (Answer(b"this is not JSON {"), 3),
        (Answer(b"{}"), 3),
        (error(401, f"Incorrect API key provided: {KEY}"), 1),
        (error(404, "no such model"), 1),
    ],
    ids=["500", "no-json", "no-choices", "401", "404"],
)
def test_a_model_that_fails_for_good_fails_the_row(answer: Answer, requests: int, tmp_path: Path) -> None:
    with OpenAIServer([call("ls"), answer]) as server, pytest.raises(RowFailure) as caught:
        ask(server, tmp_path)
    assert caught.value.boundary == "model"
    assert KEY not in str(caught.value)
    assert len(server.requests) == 1 + requests


def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    with OpenAIServer([HANG]) as server, pytest.raises(RowFailure, match="Timeout") as caught:
        ask(server, tmp_path, request_timeout=0.5, retries=1)
    assert caught.value.boundary == "model"
    assert len(server.requests) == 2


def test_a_command_that_hangs_ends_the_attempt_without_a_patch(tmp_path: Path) -> None:
    with OpenAIServer([call(FIX), call("sleep 600"), call(SUBMIT)]) as server:
        row = kept(ask(server, tmp_path, command_timeout=2.0))
    assert (row["exit_status"], row["patch"]) == ("CommandTimeout", None)


def test_the_step_limit_keeps_what_was_changed(tmp_path: Path) -> None:
    with OpenAIServer([call(FIX), call("ls")]) as server:
        row = kept(ask(server, tmp_path, step_limit=3))
    assert row["exit_status"] == "LimitsExceeded"
    assert FIXED_LINE in row["patch"]


def test_the_patch_is_what_was_changed_and_not_what_was_said(tmp_path: Path) -> None:
    litter = "echo 1 > scratch.py; echo 1 > spans/more.py; mkdir -p .pytest_cache/v; echo 1 > .pytest_cache/v/x; "
    lie = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && printf '+++ b/spans/more.py\\n+lies'"
    with OpenAIServer([call(litter + FIX + "; git commit -qam mine"), call(lie)]) as server:
        row = kept(ask(server, tmp_path))
    changed = [line for line in row["patch"].splitlines() if line.startswith("+++ ")]
    assert changed == ["+++ b/spans/more.py", "+++ b/spans/windows.py"]
    assert "lies" not in row["patch"]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"api_key": KEY},
        {"extra_headers": {"Authorization": f"Bearer {KEY}"}},
        {"aws_secret_access_key": KEY},
    ],
)
def test_secrets_do_not_belong_in_a_config(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="environment variable") as caught:
        ApiConfig(model_kwargs=kwargs)
    assert KEY not in str(caught.value)


def test_max_tokens_is_no_secret() -> None:
    assert ApiConfig(model_kwargs={"max_tokens": 100}).model_kwargs == {"max_tokens": 100}


def test_a_model_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"--set rollouts\.model="):
        RolloutConfig(agent="litellm")


def test_prices_are_part_of_a_key_only_where_they_can_end_an_attempt() -> None:
    def key(price: float | None, **config: Any) -> str:
        named = {"agent": "litellm", "model": "openai/served", **config}
        return Rollouts(RolloutConfig(api=ApiConfig(input_price=price), **named)).fingerprint()

    assert len({key(None), key(1.0), key(50.0)}) == 3
    assert key(None, cost_limit=0) == key(50.0, cost_limit=0)
    assert key(None, agent="scripted") == key(50.0, agent="scripted")


def test_a_missing_image_fails_the_attempt_and_never_drops_it(tmp_path: Path) -> None:
    for image, boundary in (("contextrl-data/no-such:none", "image"), ("127.0.0.1:1/no/such:1", "registry")):
        with pytest.raises(RowFailure) as caught:
            roll(RolloutConfig(), attempt(image=image), tmp_path)
        assert caught.value.boundary == boundary


@pytest.mark.parametrize("number", [0, 1])
def test_scripted_attempts_are_the_same_byte_for_byte(number: int, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(
            lambda run: json.dumps(kept(roll(RolloutConfig(), attempt(number), tmp_path / run))), ["first", "second"]
        )
    assert first == second


def test_scripted_attempts_do_what_they_set_out_to(tmp_path: Path) -> None:
    config = RolloutConfig(scripted=ScriptedConfig(detour_share=1.0, give_up_share=0.0))
    solved = kept(roll(config, attempt(0), tmp_path))
    failed = kept(roll(config, attempt(1), tmp_path))
    assert solved["model"] == failed["model"] == "scripted"
    assert FIXED_LINE in solved["patch"]
    assert failed["patch"] not in ("", solved["patch"])
    assert "@@ def windows(" in failed["patch"]


def test_a_scripted_attempt_that_gives_up_is_ended_by_the_limit(tmp_path: Path) -> None:
    row = kept(roll(RolloutConfig(scripted=ScriptedConfig(give_up_share=1.0)), attempt(1), tmp_path))
    assert row["exit_status"] == "LimitsExceeded"
    assert row["patch"] != ""


def test_a_stage_that_runs_containers_takes_a_place_for_one_of_its_node() -> None:
    stage = Rollouts(RolloutConfig())
    assert stage.takes() == {"docker": 1}
    assert stage.on(KubernetesBackend(kind="kubernetes")).takes() == {}
