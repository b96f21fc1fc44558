"""Models for mini-swe-agent behind an API: any that litellm reaches, by tool calls or by text."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from contextrl_data.pipeline.calls import CallLedger
from contextrl_data.pipeline.errors import ConfigError, MissingExtra, RowFailure
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.chat_errors import retry_after
from contextrl_data.stages.coding.normal_form import redact
from contextrl_data.stages.prices import book

_SECRETS = ("api_key", "token", "secret", "password", "authorization", "credential")
# Answers that another try cannot change. litellm's names; all other errors of a server are tried again.
_FINAL = (
    "AuthenticationError",
    "PermissionDeniedError",
    "NotFoundError",
    "BadRequestError",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
    "ContentPolicyViolationError",
)


class ApiConfig(StageConfig):
    """How a model's API is called."""

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the call: api_base, temperature, max_tokens, ... Keys come from the environment only."""
    mode: Literal["tool_call", "text"] = "tool_call"
    """How the agent's commands come back: as calls of a `bash` tool, or in a fenced block of the text."""
    request_timeout: float = Field(default=300.0, gt=0)
    """Seconds until a call without an answer is given up (and tried again)."""
    retries: int = Field(default=5, ge=0)
    """How often a call that failed for a passing reason is tried again."""
    backoff_seconds: float = Field(default=2.0, ge=0)
    """First pause before another try; doubled each time. A server's Retry-After goes first."""
    longest_pause: float = Field(default=120.0, ge=0)
    """Longest pause before another try; a server that asks for more is waited for no longer than this."""
    input_price: float | None = Field(default=None, ge=0, exclude=True)
    """Dollars per million prompt tokens, where litellm does not know the model's price. `rollouts.cost_limit` holds
    for it too."""
    output_price: float | None = Field(default=None, ge=0, exclude=True)
    """Dollars per million tokens of the answers."""

    @model_validator(mode="after")
    def _no_secrets(self) -> ApiConfig:
        for path in _secret_paths(self.model_kwargs, "model_kwargs"):
            raise ConfigError(
                f"{path} is a secret and does not belong in a config",
                "set the provider's environment variable instead, for example OPENAI_API_KEY",
            )
        return self


def _secret_paths(tree: Mapping[str, Any], path: str) -> list[str]:
    found = []
    for name, value in tree.items():
        here = f"{path}.{name}"
        if isinstance(value, Mapping):
            found += _secret_paths(value, here)
        elif any(word in str(name).lower().replace("-", "_") for word in _SECRETS) and isinstance(value, str):
            found.append(here)
    return found


def prepare_models() -> None:
    """Import litellm once, in one thread, and keep it from printing advertisements on every error.

    Raises:
        MissingExtra: litellm, or the `mcp` package that its tool calls need, is not installed.
    """
    try:
        import litellm
        import mcp  # noqa: F401
        import minisweagent.models.litellm_textbased_model  # noqa: F401
    except ImportError as error:
        raise MissingExtra("coding", "calling a model") from error
    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "litellm_model"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class ApiModel:
    """mini-swe-agent's litellm model with retries that know Retry-After, failures charged to the model, and each call
    written down for the row that it serves."""

    def __init__(
        self,
        name: str,
        config: ApiConfig,
        templates: Mapping[str, Any],
        seed: int,
        ledger: CallLedger | None = None,
        row: str = "",
    ) -> None:
        from minisweagent.models.litellm_model import LitellmModel
        from minisweagent.models.litellm_textbased_model import LitellmTextbasedModel

        kind: Any = LitellmModel if config.mode == "tool_call" else LitellmTextbasedModel
        kwargs = {
            "drop_params": True,
            "seed": seed % 2**31,
            "timeout": config.request_timeout,
            "max_retries": 0,  # the client library would try again on its own, unseen
            **config.model_kwargs,
        }
        self._inner = kind(
            model_name=name,
            model_kwargs=kwargs,
            cost_tracking="ignore_errors",  # a local server has no price
            observation_template=templates["observation_template"],
            format_error_template=templates["format_error_template"],
        )
        self._ledger, self._row = ledger or CallLedger(None, "rollouts"), row
        self._attempt = 1
        self._dollars: float = 0.0
        # Below mini-swe-agent's own reading: an answer that it cannot use is paid all the same.
        self._ask, self._inner._query = self._inner._query, self._booked
        self._inner._calculate_cost = lambda response: {"cost": self._dollars}
        self._settings = config
        self._jitter = random.Random(seed)
        self.retried = 0

    @property
    def config(self) -> Any:
        """The inner model's own configuration."""
        return self._inner.config

    def query(self, messages: list[dict[str, Any]], **kwargs: Any) -> dict[str, Any]:
        """Ask the model, again where that can help.

        Raises:
            RowFailure: of boundary `model`, when it cannot be had.
        """
        from minisweagent.exceptions import InterruptAgentFlow

        for attempt in range(self._settings.retries + 1):
            self._attempt = attempt + 1
            try:
                answer = self._inner.query(messages, **kwargs)
                answer.pop("provider_specific_fields", None)
                return dict(answer)
            except InterruptAgentFlow:
                raise
            except Exception as error:
                if any(kind.__name__ == "ContextWindowExceededError" for kind in type(error).__mro__):
                    raise _context_full() from None
                final = isinstance(error, ImportError) or any(kind.__name__ in _FINAL for kind in type(error).__mro__)
                if final or attempt == self._settings.retries:
                    raise RowFailure("model", _told(error)) from None
                self.retried += 1
                time.sleep(self._pause(error, attempt))
        raise AssertionError("unreachable")

    def _booked(self, messages: list[dict[str, Any]], **kwargs: Any) -> Any:
        with self._ledger.call(self._inner.config.model_name, self._row, self._attempt) as call:
            response = self._ask(messages, **kwargs)
            book(call, response, self._settings.input_price, self._settings.output_price)
        self._dollars = call.dollars or 0.0
        return response

    def format_message(self, **kwargs: Any) -> dict[str, Any]:
        """See mini-swe-agent's `Model`."""
        return dict(self._inner.format_message(**kwargs))

    def format_observation_messages(
        self,
        message: dict[str, Any],
        outputs: list[dict[str, Any]],
        template_vars: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """See mini-swe-agent's `Model`."""
        return list(self._inner.format_observation_messages(message, outputs, template_vars))

    def get_template_vars(self, **kwargs: Any) -> dict[str, Any]:
        """Variables for templates: the model's name, and nothing of how it is called."""
        return {"model_name": self._inner.config.model_name}

    def serialize(self) -> dict[str, Any]:
        """The model's part of mini-swe-agent's record: its name."""
        return {"info": {"config": {"model": {"model_name": self._inner.config.model_name}}}}

    def _pause(self, error: Exception, attempt: int) -> float:
        asked = retry_after(error)
        if asked is not None:
            return min(asked, self._settings.longest_pause)
        pause = self._settings.backoff_seconds * 2**attempt * self._jitter.uniform(0.75, 1.25)
        return float(min(pause, self._settings.longest_pause))


def _context_full() -> Exception:
    """The run's own honest end, as a step limit is: what was changed so far still counts."""
    from minisweagent.exceptions import LimitsExceeded

    status = "ContextWindowExceeded"
    extra = {"exit_status": status, "submission": ""}
    return LimitsExceeded({"role": "exit", "content": status, "extra": extra})


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return redact(f"{type(error).__name__}: {text}")[:500]
