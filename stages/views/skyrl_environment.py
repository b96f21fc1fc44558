"""The SkyRL environment of the `skyrl` view: one turn, judged by the letter. Needs `skyrl-gym`; nothing else imports it.

Register it in the process that makes environments, before training starts:

    from contextrl_data.stages.views.skyrl_environment import register_environment

    register_environment()
"""

from __future__ import annotations

from typing import Any

from skyrl_gym.envs import register
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from contextrl_data.stages.views.rewards import score
from contextrl_data.stages.views.skyrl import ENVIRONMENT


class ChoiceEnvironment(BaseTextEnv):  # type: ignore[misc]
    """Rewards a reply with 1 where its answer is `reward_spec.ground_truth`, else with 0."""

    def __init__(self, env_config: Any = None, extras: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.ground_truth = (extras or {})["reward_spec"]["ground_truth"]

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """End the episode."""
        reward = score(action, self.ground_truth)
        return BaseTextEnvStepOutput(observations=[], reward=reward, done=True, metadata={})


def register_environment() -> None:
    """Make the environment known to `skyrl_gym.make`; a second call changes nothing."""
    from skyrl_gym.envs.registration import registry

    if ENVIRONMENT not in registry:
        register(id=ENVIRONMENT, entry_point=f"{__name__}:{ChoiceEnvironment.__name__}")
