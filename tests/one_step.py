"""One step of TRL's own GRPOTrainer on a CPU, and what it hands to rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_training import length_said
from trl import GRPOConfig


def settings(folder: Path, **more: Any) -> GRPOConfig:
    """One step of four completions on the CPU."""
    return GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        gradient_checkpointing=False,
        max_steps=1,
        learning_rate=1e-3,
        num_generations=2,
        per_device_train_batch_size=4,
        max_completion_length=4,
        **more,
    )


class Seen:
    """A reward that differs from sample to sample, and keeps what the trainer hands on."""

    __name__ = "seen"

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, completions: list[Any], **columns: Any) -> list[float]:
        self.calls.append(columns)
        return length_said(completions)
