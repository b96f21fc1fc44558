"""mini-swe-agent's messages become rows of role and text."""

from __future__ import annotations

import json

import pytest

from contextrl_data.stages.coding.normal_form import fenced, format_errors, normal_form


def test_tool_calls_become_fenced_blocks() -> None:
    calls = [{"function": {"name": "bash", "arguments": json.dumps({"command": c})}} for c in ("ls", "pwd")]
    messages = [
        {"role": "assistant", "content": "Look.", "tool_calls": calls, "extra": {"cost": 1}},
        {"role": "assistant", "content": None, "tool_calls": calls[:1]},
        {"role": "tool", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "exit", "content": "done"},
    ]
    assert normal_form(messages) == [
        {"role": "assistant", "content": "Look.\n\n```bash\nls\n```\n\n```bash\npwd\n```"},
        {"role": "assistant", "content": "```bash\nls\n```"},
        {"role": "tool", "content": "a\nb"},
    ]


def test_a_call_that_is_no_json_is_kept_as_it_came() -> None:
    call = {"function": {"name": "bash", "arguments": '{"command": "ls'}}
    assert normal_form([{"role": "assistant", "content": "", "tool_calls": [call]}]) == [
        {"role": "assistant", "content": '```bash\n{"command": "ls\n```'}
    ]


def test_a_command_that_holds_a_fence_gets_a_longer_one() -> None:
    assert fenced("cat <<'EOF'\n```\nEOF") == "````bash\ncat <<'EOF'\n```\nEOF\n````"


def test_minis_own_fence_is_an_ordinary_one() -> None:
    (row,) = normal_form([{"role": "assistant", "content": "```mswea_bash_command\nls\n```"}])
    assert row["content"] == "```bash\nls\n```"


def test_secrets_of_the_environment_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789")
    monkeypatch.setenv("MONKEY", "abcdefgh")
    monkeypatch.setenv("SHORT_TOKEN", "a")
    (row,) = normal_form([{"role": "tool", "content": "a key sk-0123456789 abcdefgz"}])
    assert row["content"] == "a key [redacted] abcdefgz"


def test_format_errors_are_counted() -> None:
    wrong = {"role": "user", "content": "x", "extra": {"interrupt_type": "FormatError"}}
    assert format_errors([wrong, {"role": "user", "content": "x"}, wrong, {"role": "tool", "extra": None}]) == 2
