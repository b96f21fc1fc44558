"""EXPERIMENTAL. An agent that repairs a task in many turns, inside TRL's GRPO loop: one `bash` tool in our sandbox.

TRL 1.16 makes one environment for each rollout and uses it again (`environment_factory`, experimental there too):
`reset` opens the task, every other public method is a tool, `get_reward` judges what the agent left. Set

    tasks.environment: contextrl_data.stages.coding.rl_environment:RepairEnvironment
    tasks.rewards: []

Rollouts of one process take turns here, so this is for small models and short runs; for long ones see docs/training.md.
"""

from __future__ import annotations

import json
from typing import Any

from contextrl_data.pipeline.errors import InputError, RowFailure
from contextrl_data.stages.coding.agent_environment import PATCH_LIMIT, SandboxEnvironment
from contextrl_data.stages.coding.backend import RunningSandbox
from contextrl_data.stages.coding.reward import REWARD, Judge
from contextrl_data.stages.coding.sandbox import SandboxConfig, UnusableTask
from contextrl_data.stages.coding.workspace import open_task

SHOWN = 6000
"""Characters of a command's output that the model sees: the first and the last half of that."""
_JUDGES: list[Judge] = []


class RepairEnvironment:
    """One rollout's container. Of its methods TRL shows only `bash` to the model."""

    turn_timeout = 60.0
    """Seconds for one command; one that needs more ends the rollout, which is judged as it was, with 0."""

    def __init__(self) -> None:
        self._sandbox: RunningSandbox | None = None
        self._inside: SandboxEnvironment | None = None
        self._task: dict[str, Any] = {}

    def reset(self, task: str, **_: Any) -> None:
        """Open the task of a row that `contextrl-data tasks` wrote; what an earlier rollout left is removed."""
        self._close()
        self._task = json.loads(task)
        try:
            self._sandbox = open_task(_judge().client, self._task, SandboxConfig(), _judge().run_id)
            self._inside = SandboxEnvironment(self._sandbox, timeout=self.turn_timeout, scrub=False)
        except UnusableTask as error:
            raise InputError(
                f"task {self._task['id']} cannot be run: {error}", "take it out of tasks.dataset"
            ) from error

    def bash(self, command: str) -> str:
        """
        Run a command in bash, in the repository's root. Files that it changes stay changed.

        Args:
            command: The command line to run.

        Returns:
            The exit code and what the command printed.
        """
        if self._sandbox is None or not self._sandbox.usable:
            return "the container is gone: an earlier command ran out of time or printed too much"
        result = self._sandbox.exec(command, timeout=self.turn_timeout)
        if result.state != "ok":
            return f"stopped ({result.state}); the container is gone\n{_short(result.output)}"
        return f"exit code {result.exit_code}\n{_short(result.output)}"

    def get_reward(self) -> float | None:
        """1 where what the agent changed passes the task's tests in a fresh container; None where Docker failed."""
        try:
            patch = self._inside.final_patch(None) if self._inside is not None else None
        except RowFailure:
            return None
        finally:
            self._close()
        if patch is None or len(patch) > PATCH_LIMIT:
            return 0.0
        return REWARD[_judge().status(self._task, patch)]

    def _close(self) -> None:
        sandbox, self._sandbox, self._inside = self._sandbox, None, None
        if sandbox is not None:
            sandbox.close()


def _judge() -> Judge:
    """This process's judge, made when it is first needed."""
    if not _JUDGES:
        _JUDGES.append(Judge())
    return _JUDGES[0]


def _short(text: str) -> str:
    if len(text) <= SHOWN:
        return text
    return f"{text[: SHOWN // 2]}\n[{len(text) - SHOWN} characters left out]\n{text[-SHOWN // 2 :]}"
