"""The scripted agent: a model for mini-swe-agent that answers by a fixed policy which knows the task's fix.

It is for demonstrations and tests, where no model can be had. Every row of it says so (`model: scripted`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from contextrl_data.pipeline.stage import Row, StageConfig
from contextrl_data.stages.coding.backend import RunningSandbox
from contextrl_data.stages.coding.scripted_case import read_case, rehearsed
from contextrl_data.stages.coding.scripted_plan import Intent, Observation, Plan, Policy

REHEARSAL_SECONDS = 30.0


class ScriptedConfig(StageConfig):
    """Settings of the scripted agent."""

    outcomes: tuple[Literal["solve", "fail"], ...] = Field(default=("solve", "fail", "solve"), min_length=1)
    """What attempt 0, 1, 2, ... sets out to do; begins again at the end. Whether it succeeds is for the tests to say."""
    detour_share: float = Field(default=0.2, ge=0, le=1)
    """Share of the attempts that make and undo a useless change first."""
    rerun_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the attempts that, where they solve the task, see the failing tests pass before they submit."""
    give_up_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the failing attempts that run into the step limit."""
    step_limit: int = Field(default=18, ge=4)
    """Most steps of one attempt."""


class ScriptedModelConfig(BaseModel):
    """What mini-swe-agent wants to know of a model."""

    model_name: str = "scripted"


class ScriptedModel:
    """One attempt's policy in the shape of mini-swe-agent's `Model`."""

    def __init__(
        self, task: Row, sandbox: RunningSandbox, config: ScriptedConfig, seed: int, templates: Mapping[str, Any]
    ) -> None:
        rng = random.Random(seed)
        detour, never_ends = rng.random() < config.detour_share, rng.random() < config.give_up_share
        reruns = rng.random() < config.rerun_share
        solves = config.outcomes[task["attempt"] % len(config.outcomes)] == "solve"
        case = read_case(task, sandbox, rng)
        if not solves:
            case = rehearsed(case, sandbox, REHEARSAL_SECONDS)
        intent = Intent(solves, detour, reruns, never_ends and not solves)
        self.config = ScriptedModelConfig()
        self._plan: Plan = Policy(case, intent, rng).plan()
        self._started = False
        self._observation_template = templates["observation_template"]

    def query(self, messages: list[dict[str, Any]], **kwargs: Any) -> dict[str, Any]:
        """The next step, in view of the last observation."""
        if self._started:
            extra = messages[-1]["extra"]
            step = self._plan.send(Observation(extra["raw_output"], extra["returncode"]))
        else:
            step = next(self._plan)
            self._started = True
        return {
            "role": "assistant",
            "content": f"THOUGHT: {step.thought}\n\n```mswea_bash_command\n{step.command}\n```",
            "extra": {"actions": [{"command": step.command}], "cost": 0.0},
        }

    def format_message(self, **kwargs: Any) -> dict[str, Any]:
        """See mini-swe-agent's `Model`."""
        return kwargs

    def format_observation_messages(
        self,
        message: dict[str, Any],
        outputs: list[dict[str, Any]],
        template_vars: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """See mini-swe-agent's `Model`."""
        from minisweagent.models.utils.actions_text import format_observation_messages

        return list(
            format_observation_messages(
                outputs, observation_template=self._observation_template, template_vars=template_vars
            )
        )

    def get_template_vars(self, **kwargs: Any) -> dict[str, Any]:
        """Variables for templates."""
        return self.config.model_dump()

    def serialize(self) -> dict[str, Any]:
        """The model's part of mini-swe-agent's record."""
        return {"info": {"config": {"model": self.config.model_dump()}}}
