"""Rollouts: an agent works on each task several times, in a container of its own; its own diff is taken at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from contextrl_data.pipeline.calls import CallLedger
from contextrl_data.pipeline.errors import ConfigError, MissingExtra, RowFailure
from contextrl_data.pipeline.outlook import CallsAhead, Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, StageConfig, seed_of
from contextrl_data.stages.coding.agent_environment import SandboxEnvironment, prepare_agent
from contextrl_data.stages.coding.agent_models import ApiConfig, ApiModel, prepare_models
from contextrl_data.stages.coding.backend import RunningSandbox, Sandboxed, connect_host
from contextrl_data.stages.coding.normal_form import format_errors, normal_form, redact
from contextrl_data.stages.coding.sandbox import SandboxConfig, UnusableTask
from contextrl_data.stages.coding.scripted import ScriptedConfig, ScriptedModel
from contextrl_data.stages.coding.workspace import open_task
from contextrl_data.stages.rows import TASK, TRAJECTORY

ATTEMPT = TASK.append(pa.field("instance_id", pa.string())).append(pa.field("attempt", pa.int32()))
"""A task and the number of the attempt at it: one row per rollout, so that a resumed run repeats no finished one."""

STEPS, STEP_PROMPT, STEP_REPLY = 38.7, 13_600, 230
"""Calls of one attempt, and the mean tokens of a call's prompt and answer, taken as a quarter of their characters."""
STEPS_TOLD = "264 published mini-swe-agent runs on SWE-bench Verified: 38.7 calls each, 13,600 + 230 tokens a call"

_PRESETS = {"tool_call": "swebench.yaml", "text": "swebench_backticks.yaml"}


class AttemptsConfig(StageConfig):
    """Settings of `attempts`."""

    per_task: int = Field(default=3, ge=1)
    """How often each task is tried."""


class Attempts(Map[AttemptsConfig]):
    """One row per task and attempt."""

    name = "attempts"
    version = 1
    schema = ATTEMPT

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Exactly so many."""
        return Outlook(rows * self.config.per_task, exact=True)

    def process(self, row: Row) -> Outcome:
        """The same task `per_task` times, numbered from 0."""
        return Keep(
            [
                {**row, "id": f"{row['id']}#{number}", "instance_id": row["id"], "attempt": number}
                for number in range(self.config.per_task)
            ]
        )


class RolloutConfig(StageConfig):
    """Settings of `rollouts`."""

    agent: Literal["scripted", "litellm"] = "scripted"
    """Who works: a model behind an API (`litellm`), or the deterministic policy that knows the fix (`scripted`)."""
    model: str = ""
    """litellm's name of the model with its provider, e.g. `anthropic/claude-sonnet-4-5` or `openai/served-name`."""
    api: ApiConfig = ApiConfig()
    """How the model is called."""
    scripted: ScriptedConfig = ScriptedConfig()
    """How the scripted agent behaves."""
    seed: int = 0
    """Chooses the scripted agent's manner; sent to models that take a seed, another one for each attempt."""
    step_limit: int = Field(default=250, ge=1)
    """Most calls of the model in one attempt."""
    cost_limit: float = Field(default=3.0, ge=0)
    """Most US dollars for one attempt; 0 for no limit."""
    wall_time_limit_seconds: int = Field(default=1500, ge=1)
    """Most seconds for one attempt; stay under the sandbox's `ttl_seconds`."""
    command_timeout: float = Field(default=60.0, gt=0)
    """Most seconds for one command. A command that takes longer ends the attempt, with its patch unknown."""
    system_template: str = ""
    """The system message, a Jinja template; empty takes mini-swe-agent's own for SWE-bench."""
    instance_template: str = ""
    """The first user message, a Jinja template with `task` for the issue; empty takes mini-swe-agent's own."""
    scrub: bool | None = None
    """Replace durations, addresses and temporary names in what commands print; by default for `scripted` alone."""
    sandbox: SandboxConfig = SandboxConfig()
    """Limits of the container."""

    @model_validator(mode="after")
    def _model_is_named(self) -> RolloutConfig:
        if self.agent == "litellm" and not self.model:
            raise ConfigError(
                "agent 'litellm' without a model",
                "--set rollouts.model=openai/gpt-5-mini, or another by litellm's name",
            )
        return self


class Rollouts(Sandboxed, Map[RolloutConfig]):
    """One attempt at a task -> one trajectory."""

    name = "rollouts"
    version = 2
    work = "thread"
    dear = True
    schema = TRAJECTORY

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """A container for each attempt, and the calls of its model."""
        return Outlook(rows, containers=rows, calls=self._calls_ahead() if self.config.agent == "litellm" else None)

    def _calls_ahead(self) -> CallsAhead:
        api = self.config.api
        return CallsAhead(
            self.config.model,
            per_row=min(STEPS, self.config.step_limit),
            prompt_tokens=STEP_PROMPT,
            completion_tokens=STEP_REPLY,
            told=STEPS_TOLD,
            input_price=api.input_price,
            output_price=api.output_price,
            most_dollars=self.config.cost_limit or None,
            price_setting="rollouts.api.input_price and rollouts.api.output_price",
        )

    def fingerprint(self) -> str:
        """The agent's version (its templates and its loop are part of what comes out), and prices where they end attempts."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            told = f"mini-swe-agent {version('mini-swe-agent')}"
        except PackageNotFoundError as error:
            raise MissingExtra("coding", "running an agent") from error
        api = self.config.api
        if self.config.agent == "litellm" and self.config.cost_limit and (api.input_price or api.output_price):
            # By these prices an attempt ends at its limit: elsewhere they change nothing that comes out.
            told += f", {api.input_price or 0.0} and {api.output_price or 0.0} dollars"
        return told

    def open(self, context: Context) -> None:
        """Connect to what sandboxes run on and read the templates."""
        super().open(context)
        prepare_agent()
        if self.config.agent == "litellm":
            prepare_models()
        self._host = connect_host(self.backend)
        self._ledger = CallLedger(context.folder, self.name)
        self._templates = _templates("text" if self.config.agent == "scripted" else self.config.api.mode)

    def process(self, row: Row) -> Outcome:
        """Run the agent once."""
        try:
            with open_task(self._host, row, self.config.sandbox, self.context.run_id) as sandbox:
                return self._run(row, sandbox)
        except UnusableTask as unusable:
            return Drop(unusable.reason)

    def close(self) -> None:
        """Close the connection."""
        host = getattr(self, "_host", None)
        if host is not None:
            host.close()

    def _run(self, row: Row, sandbox: RunningSandbox) -> Outcome:
        from minisweagent.agents.default import DefaultAgent

        config, scripted = self.config, self.config.agent == "scripted"
        scrub = scripted if config.scrub is None else config.scrub
        environment = SandboxEnvironment(sandbox, timeout=config.command_timeout, scrub=scrub)
        model = self._model(row, sandbox)
        agent = DefaultAgent(
            model,
            environment,
            system_template=config.system_template or self._templates["system_template"],
            instance_template=config.instance_template or self._templates["instance_template"],
            step_limit=min(config.step_limit, config.scripted.step_limit) if scripted else config.step_limit,
            cost_limit=config.cost_limit,
            wall_time_limit_seconds=config.wall_time_limit_seconds,
        )
        try:
            end = agent.run(row["problem_statement"])
        except RowFailure as failure:
            wrong = format_errors(agent.messages)
            raise RowFailure(
                failure.boundary, f"{failure.message} ({agent.n_calls} calls, {wrong} malformed)"
            ) from None
        status = str(end.get("exit_status", ""))
        patch = environment.final_patch(str(end.get("submission") or "") or None)
        name = "scripted" if scripted else config.model
        return Keep(
            [
                {
                    "id": f"{row['instance_id']}.{slug(name)}.{row['attempt']}",
                    "instance_id": row["instance_id"],
                    "repo": row["repo"],
                    "commit": row["commit"],
                    "problem_statement": row["problem_statement"],
                    "messages": normal_form(agent.messages),
                    "patch": None if patch is None else redact(patch),
                    "resolved": None,
                    "status": None,
                    "exit_status": status,
                    "model": name,
                    "attempt": row["attempt"],
                    "source": row["source"],
                    "licence": row["licence"],
                }
            ]
        )

    def _model(self, row: Row, sandbox: RunningSandbox) -> Any:
        seed = seed_of(self.config.seed, row["instance_id"], row["attempt"])
        if self.config.agent == "scripted":
            return ScriptedModel(row, sandbox, self.config.scripted, seed, self._templates)
        return ApiModel(self.config.model, self.config.api, self._templates, seed, self._ledger, row["id"])


def slug(name: str) -> str:
    """A model's name as a part of an id."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name.rsplit("/", 1)[-1]).strip("-.") or "model"


def _templates(mode: str) -> dict[str, Any]:
    """mini-swe-agent's own templates for SWE-bench."""
    import yaml
    from minisweagent.config import builtin_config_dir

    loaded = yaml.safe_load((builtin_config_dir / "benchmarks" / _PRESETS[mode]).read_text())
    return {**loaded["agent"], **loaded["model"]}
