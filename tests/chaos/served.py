"""The model behind the agent and the judge: what it says depends on what it is asked alone, and it has outages."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, replace
from typing import Any

from chat_server import ChatServer
from judged_pairs import blocks_of, ticket_of
from openai_server import HANG, Answer, call, error, say

from contextrl_data.pipeline.stage import Row

KINDS = ("hang", "429", "500", "503", "half")
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


@dataclass
class Outage:
    """From its `start`th call on, a model answers `length` calls wrongly."""

    kind: str
    start: int
    length: int
    met: int = 0


class ModelServer(ChatServer):
    """Serves `openai/agent`, which works on the tasks that it knows, and `openai/judge`."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.tasks: list[Row] = []
        self._outages: dict[str, list[Outage]] = {"agent": [], "judge": []}
        self._calls = {"agent": 0, "judge": 0}
        self._guard = threading.Lock()

    def arm(self, model: str, outages: list[Outage]) -> None:
        """Plan what goes wrong with a model, counted from now."""
        with self._guard:
            self._outages[model], self._calls[model] = outages, 0

    def _answer(self, asked: dict[str, Any]) -> Answer:
        right = _work(asked, self.tasks) if asked["model"] == "agent" else _judge(asked)
        with self._guard:
            number = self._calls[asked["model"]]
            self._calls[asked["model"]] += 1
            for outage in self._outages[asked["model"]]:
                if outage.start <= number < outage.start + outage.length:
                    outage.met += 1
                    return _wrong(outage.kind, right)
        return right


def _wrong(kind: str, right: Answer) -> Answer:
    if kind == "hang":
        return HANG
    if kind == "half":
        return replace(right, body=right.body[: len(right.body) // 2])
    return error(int(kind), "a fault of the campaign", **({"Retry_After": "0.1"} if kind == "429" else {}))


def _work(asked: dict[str, Any], tasks: list[Row]) -> Answer:
    """Look, edit, submit: the fix on every other attempt, a wrong one else."""
    text = "\n".join(str(message["content"]) for message in asked["messages"] if message["role"] == "user")
    task = next(task for task in tasks if task["problem_statement"] in text)
    step = sum(message["role"] == "assistant" for message in asked["messages"])
    file = re.findall(r"^\+\+\+ b/(.+)$", task["patch"], re.MULTILINE)[0]
    edit = f"git apply - <<'EOF'\n{task['patch']}EOF" if asked["seed"] % 3 else f"echo '# looked at' >> {file}"
    steps = [f"head -n 40 {file}", edit, "git status --short", SUBMIT]
    # What it says differs between tasks, as its edits, which are masked, do: a pair of equal contexts is none.
    return call(steps[min(step, len(steps) - 1)], f"THOUGHT: step {step}. It should pass {task['fail_to_pass'][0]}.")


def _judge(asked: dict[str, Any]) -> Answer:
    """A verdict drawn from the two answers, whichever way round they stand."""
    blocks = blocks_of(asked["messages"][1]["content"])
    answers = sorted(blocks[name] for name in ("answer 1", "answer 2"))
    drawn = hashlib.sha256("\0".join(answers).encode()).digest()[0] % 4
    verdict, reason = ("INVALID", "leakage") if not drawn else ("UNCERTAIN", "evidence not shown")
    place = "X" if blocks["answer 1"] == answers[0] else "Y"
    vote = {"ticket": ticket_of(asked), "verdict": verdict, "reason": reason, "answer_1_belongs_to": place}
    return say(json.dumps(vote))
