"""The chat client against a real HTTP server: cache, retries, budget, form."""

from __future__ import annotations

import ast
import json
import pickle
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from openai_server import HANG, Answer, OpenAIServer, error, say

from contextrl_data.pipeline.calls import CallLedger, read_calls
from contextrl_data.pipeline.config import load
from contextrl_data.pipeline.errors import ConfigError, RowFailure, SetupError
from contextrl_data.pipeline.store import StageFolder
from contextrl_data.stages import chat
from contextrl_data.stages.chat import ChatClient, ChatConfig, Malformed, Refused, TooLong
from contextrl_data.stages.chat_budget import Budget, BudgetSpent
from contextrl_data.stages.chat_cache import ReplyCache
from contextrl_data.stages.coding.syntax import parse
from contextrl_data.stages.prices import price_of

MESSAGES = [{"role": "user", "content": "How many?"}]


def number(text: str) -> int:
    if not text.isdigit():
        raise Malformed("not a number")
    return int(text)


def client(server: OpenAIServer, folder: Path, **config: Any) -> ChatClient:
    settings = {"model": "openai/served", "api_base": server.url, "cache_dir": folder, "backoff": 0.01, "timeout": 20}
    return ChatClient(ChatConfig(**(settings | config)))


def test_a_reply_is_paid_for_once(tmp_path: Path) -> None:
    with OpenAIServer([say("42")]) as server:
        asking = client(server, tmp_path, input_price=1.0, output_price=2.0)
        assert asking.ask(MESSAGES, number).value == 42
        assert asking.budget.dollars == pytest.approx((10 * 1.0 + 5 * 2.0) / 1e6)
        again = client(server, tmp_path)
        assert again.ask(MESSAGES, number).value == 42
        assert (again.budget.calls, again.budget.dollars) == (0, 0.0)
        assert len(server.requests) == 1
        # Another draw, another question, another model or another temperature is another reply.
        asking.ask(MESSAGES, number, sample=1)
        asking.ask([{"role": "user", "content": "How many now?"}], number)
        client(server, tmp_path, model="openai/other").ask(MESSAGES, number)
        client(server, tmp_path, temperature=0.5).ask(MESSAGES, number)
        assert len(server.requests) == 5


def test_every_call_is_in_the_books_with_its_row_and_its_end(tmp_path: Path) -> None:
    answers = [error(500), say("seven"), say("7"), error(400)]
    with OpenAIServer(answers) as server:
        settings = ChatConfig(model="openai/served", api_base=server.url, cache_dir=tmp_path / "cache", backoff=0.01)
        asking = ChatClient(settings, "judge", CallLedger(tmp_path / "judge-0", "judge"))
        assert asking.ask(MESSAGES, number, row="pair-1").value == 7
        assert asking.ask(MESSAGES, number, row="pair-2").value == 7  # from the cache: nobody is called
        with pytest.raises(Refused):
            asking.ask([{"role": "user", "content": "?"}], number, row="pair-3")
    calls = list(read_calls(StageFolder(tmp_path / "judge-0")))
    assert [(call.row, call.asked, call.attempt, call.status) for call in calls] == [
        ("pair-1", 1, 1, "InternalServerError"),
        ("pair-1", 1, 2, "ok"),
        ("pair-1", 2, 1, "ok"),
        ("pair-3", 1, 1, "BadRequestError"),
    ]
    assert [(call.prompt_tokens, call.completion_tokens) for call in calls] == [
        (None, None),
        (10, 5),
        (10, 5),
        (None, None),
    ]
    assert {call.dollars for call in calls} == {None}, "litellm has no price of it, and none is set"
    assert {(call.stage, call.model) for call in calls} == {("judge", "openai/served")}


def test_a_price_comes_from_litellm_or_from_the_config(tmp_path: Path) -> None:
    def paid(**config: Any) -> float | None:
        with OpenAIServer([say("7")]) as server:
            ledger = CallLedger(tmp_path / str(len(list(tmp_path.iterdir()))), "judge")
            settings = {"api_base": server.url, "cache_dir": tmp_path / "none" / str(id(ledger))}
            ChatClient(ChatConfig(**(settings | config)), "judge", ledger).ask(MESSAGES, number)
            assert ledger._folder is not None
            (call,) = read_calls(StageFolder(ledger._folder.parent))
            return call.dollars

    assert paid(model="openai/served", input_price=1.0, output_price=2.0) == pytest.approx(20e-6)
    assert paid(model="openai/served") is None
    known = price_of("openai/gpt-4o-mini", 10, 5)
    assert known is not None
    assert known > 0
    assert paid(model="openai/gpt-4o-mini") == pytest.approx(known)


def test_every_stage_that_asks_a_model_keeps_its_books() -> None:
    """A client without a ledger works as well, so nothing but this would tell that one was forgotten."""
    root = Path(chat.__file__).parent
    clients = [
        (path, node)
        for path in sorted(root.rglob("*.py"))
        for node in ast.walk(parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("ChatClient", "ApiModel")
    ]
    assert {"chat_judge.py", "difficulty.py", "flip.py", "propose.py", "rollouts.py"} <= {
        path.name for path, _ in clients
    }
    for path, node in clients:
        assert len(node.args) >= 3, f"{path}: give the client `CallLedger(context.folder, self.name)`"


def test_the_request_is_what_the_config_says(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {}}
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]
    with OpenAIServer([say("1")]) as server:
        client(server, tmp_path, max_tokens=7, request={"top_p": 0.5}).ask(picture, number, schema=schema)
    asked = server.requests[0]
    assert (asked["model"], asked["max_tokens"], asked["temperature"], asked["top_p"]) == ("served", 7, 0.0, 0.5)
    assert asked["messages"] == picture
    assert asked["response_format"]["json_schema"]["schema"] == schema


def test_the_key_comes_from_the_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    with OpenAIServer([say("1")]) as server:
        client(server, tmp_path).ask(MESSAGES, number)
    assert server.keys == ["Bearer sk-of-the-environment"]
    assert "sk-of" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    with pytest.raises(ConfigError, match="api_key does not belong"):
        load(ChatConfig, None, ["request.api_key=sk-12345678"])


def test_where_and_how_fast_is_no_part_of_a_key() -> None:
    here = ChatConfig(model="m", api_base="http://a", max_calls=1, cache_dir=Path("x"), concurrency=1, timeout=1)
    assert here.model_dump() == ChatConfig(model="m").model_dump()
    assert here.model_dump() != ChatConfig(model="m", temperature=1).model_dump()


@pytest.mark.parametrize("trouble", [error(500), error(503), error(429), Answer(b"<html>no json</html>")])
def test_a_passing_failure_is_tried_again(trouble: Answer, tmp_path: Path) -> None:
    with OpenAIServer([trouble, trouble, say("7")]) as server:
        assert client(server, tmp_path).ask(MESSAGES, number).value == 7
        assert len(server.requests) == 3


def test_retry_after_is_honoured_in_both_its_forms(tmp_path: Path) -> None:
    with OpenAIServer([error(429, Retry_After="1"), say("7")]) as server:
        begun = time.monotonic()
        client(server, tmp_path).ask(MESSAGES, number)
        assert time.monotonic() - begun >= 1
    with OpenAIServer([error(429, Retry_After=formatdate(time.time() + 3, usegmt=True)), say("7")]) as server:
        begun = time.monotonic()
        client(server, tmp_path / "other", longest_pause=0.5).ask(MESSAGES, number)
        assert time.monotonic() - begun >= 0.5


def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    with OpenAIServer([HANG]) as server, pytest.raises(RowFailure, match="Timeout"):
        client(server, tmp_path, timeout=0.3, attempts=2).ask(MESSAGES, number)
    assert len(server.requests) == 2


def test_a_reply_of_the_wrong_form_is_asked_for_again_and_never_cached(tmp_path: Path) -> None:
    with OpenAIServer([say("many"), say("9")]) as server:
        assert client(server, tmp_path).ask(MESSAGES, number).value == 9
        corrected = server.requests[1]["messages"]
        assert corrected[1] == {"role": "assistant", "content": "many"}
        assert "not a number" in corrected[2]["content"]
    with OpenAIServer([say("many")]) as server, pytest.raises(RowFailure, match="3 malformed replies: not a number"):
        client(server, tmp_path / "other").ask(MESSAGES, number)
    assert not list((tmp_path / "other").rglob("*.json"))


def test_what_no_row_can_mend_stops_the_run(tmp_path: Path) -> None:
    with OpenAIServer([error(401, "bad key sk-abcdefgh1234")]) as server, pytest.raises(SetupError) as caught:
        client(server, tmp_path).ask(MESSAGES, number)
    assert "refuses the key" in str(caught.value)
    assert "sk-abc" not in str(caught.value)
    with OpenAIServer([error(404, "no such model")]) as server, pytest.raises(SetupError, match="does not know"):
        client(server, tmp_path).ask(MESSAGES, number)
    with OpenAIServer([error(500, "down")]) as server:
        asking = client(server, tmp_path, give_up_after=2, attempts=3)
        with pytest.raises(RowFailure, match="down"):
            asking.ask(MESSAGES, number)
        with pytest.raises(SetupError, match="2 calls in a row"):
            asking.ask(MESSAGES, number)
        assert len(server.requests) == 6
    with OpenAIServer([say("1")]) as server, pytest.raises(SetupError, match="no provider"):
        client(server, tmp_path, model="served").ask(MESSAGES, number)
    with pytest.raises(ConfigError, match="needs a model"):
        ChatClient(ChatConfig())


def test_what_this_row_alone_cannot_have_is_said_of_the_row(tmp_path: Path) -> None:
    long = Answer(
        json.dumps(
            {
                "error": {
                    "message": "This model's maximum context length is 10 tokens.",
                    "code": "context_length_exceeded",
                }
            }
        ).encode(),
        400,
    )
    with OpenAIServer([long]) as server, pytest.raises(TooLong):
        client(server, tmp_path).ask(MESSAGES, number)
    with OpenAIServer([error(400, "cannot read this; key sk-abcdefgh1234")]) as server:
        with pytest.raises(Refused, match=r"\[secret\]") as caught:
            client(server, tmp_path).ask(MESSAGES, number)
        assert len(server.requests) == 1
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_budget_of_calls_stops_cleanly_and_the_next_run_goes_on(tmp_path: Path) -> None:
    questions = [[{"role": "user", "content": f"How many of {n}?"}] for n in range(5)]
    with OpenAIServer([say("1")]) as server:
        for run, done in enumerate((2, 4)):
            asking = client(server, tmp_path, max_calls=2)
            with pytest.raises(BudgetSpent, match="all 2 calls"):
                _ = [asking.ask(question, number) for question in questions]
            assert len(server.requests) == done, run
        asking = client(server, tmp_path, max_calls=2)
        assert [asking.ask(question, number).value for question in questions] == [1] * 5


def test_a_budget_of_dollars_counts_calls_that_are_under_way() -> None:
    budget = Budget("judge", None, 1.0)
    with budget.call() as bill:
        bill.cost = 0.4
    with budget.call() as bill:
        bill.cost = 0.1
        with pytest.raises(BudgetSpent, match=r"\$0.40 of \$1.00"), budget.call():
            pass  # one call of 0.40 may be under way: a second would overdraw
    with budget.call():
        pass
    assert (budget.calls, budget.dollars) == (3, pytest.approx(0.5))


def test_dollars_need_a_price(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"price of openai/served is not known.*input_price"):
        ChatClient(ChatConfig(model="openai/served", max_dollars=1.0))
    ChatClient(ChatConfig(model="openai/served", max_dollars=1.0, input_price=1.0))
    ChatClient(ChatConfig(model="openai/gpt-4o-mini", max_dollars=1.0))


def test_no_more_calls_at_a_time_than_allowed(tmp_path: Path) -> None:
    flying, most, lock = 0, 0, threading.Lock()

    def slow(asked: dict[str, Any]) -> Answer:
        nonlocal flying, most
        with lock:
            flying, most = flying + 1, max(most, flying + 1)
        time.sleep(0.05)
        with lock:
            flying -= 1
        return say("1")

    with ChatServer(slow) as server:
        asking = client(server, tmp_path, concurrency=3)
        threads = [
            threading.Thread(target=asking.ask, args=(MESSAGES, number), kwargs={"sample": n}) for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.requests) == 12
    assert most == 3


def test_a_damaged_cache_file_is_a_miss(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    key = cache.key(a=1)
    assert cache.get(key) is None
    cache.put(key, "half \ud83d")
    assert cache.get(key) == "half ?"
    next(tmp_path.rglob("*.json")).write_bytes(b'{"text":')
    assert cache.get(key) is None
    assert cache.key(a=1, b=2) == cache.key(b=2, a=1) != key
