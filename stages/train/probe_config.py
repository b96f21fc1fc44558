"""Settings of the selection probe. Free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.train.config import EngineConfig, PairsConfig


class ServerConfig(StageConfig):
    """A model behind an OpenAI-compatible server. Its key is read from the environment."""

    url: str = ""
    """Base URL, for example http://localhost:8000/v1; empty: the model runs here."""
    key_env: str = "OPENAI_API_KEY"
    """Environment variable with the key; may be unset for a server that asks for none."""
    logprobs: Literal["auto", "never"] = "auto"
    """`auto`: ask for the options' log-probabilities, and sample where the server gives none."""
    samples: int = Field(1, ge=1)
    """Answers sampled for each prompt where there are no log-probabilities."""
    temperature: float = Field(0.0, ge=0)
    """Of those samples."""
    max_tokens: int = Field(16, ge=1)
    """Of a sampled answer; give a thinking model room."""
    workers: int = Field(4, ge=1)
    """Requests at once."""
    timeout: float = Field(120.0, gt=0)
    """Seconds for one request."""
    retries: int = Field(3, ge=0)
    """Further tries after a failure that may pass."""


class ProbePairsConfig(PairsConfig):
    """The pairs that are measured, and how a pair becomes a choice prompt."""

    split: str = "probe"
    """Split that is measured."""


class ProbeConfig(StageConfig):
    """One measurement of one model on one split."""

    model: str = ""
    """Folder or Hub id, or the name that the server knows it by."""
    pairs: ProbePairsConfig = ProbePairsConfig()
    """The pairs."""
    server: ServerConfig = ServerConfig()
    """Where the model runs, if not here."""
    engine: EngineConfig = EngineConfig()
    """How it runs here."""
    batch: int = Field(4, ge=1)
    """Prompts in one forward pass."""
    output: Path = Path("data/runs/probe")
    """Folder of choices.jsonl, probe.json, probe.md and probe.png."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model:
            raise ValueError("no model is given; set model")
        return self
