"""What a run says while it runs (console, log.jsonl) and when it is done (the model card with its curve)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml
from transformers import TrainerCallback

from contextrl_data.pipeline.console import console
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.selection import accuracy

if TYPE_CHECKING:
    from contextrl_data.stages.train.assembly import Assembly
    from contextrl_data.stages.train.run import TrainResult

_SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "kl": "kl",
    "contrast/loss": "L_CA",
    "contrast/accuracy": "chosen right",
    "contrast/margin": "margin",
    "contrast/beyond_clip": "beyond c",
    "sft/loss": "SFT",
    "selection/accuracy": "selection",
    "grad_norm": "|g|",
}


class RunLog(TrainerCallback):  # type: ignore[misc]
    """One line to the console and one to log.jsonl for every logged step."""

    def __init__(self, folder: RunFolder, assembly: Assembly, eval_every: int | None) -> None:
        self.folder = folder
        self.assembly = assembly
        self.eval_every = eval_every
        self.console = console(stderr=True, highlight=False)

    def install(self) -> None:
        """Listen to the trainer."""
        self.assembly.trainer.add_callback(self)

    def note(self, values: Mapping[str, Any]) -> None:
        """Write a line."""
        if not self.folder.main:
            return
        self.folder.append(values)
        shown = [f"{name} {values[key]:.4g}" for key, name in _SHOWN.items() if _number(values.get(key))]
        self.console.print(f"step {values['step']:>5} / {self.assembly.steps}  " + "  ".join(shown), soft_wrap=True)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Called by transformers for every logged step, and for the summary at the end, which is skipped."""
        if logs and "train_runtime" not in logs and "eval_reward" not in logs:
            self.note({"step": state.global_step, **{k: v for k, v in logs.items() if _number(v)}})

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say what is trained on, and measure before the first step.

        Here the model is in its engine, without which ZeRO-3 cannot run it.
        """
        for told in dict(self.assembly.fits).values() if self.folder.main else ():
            self.console.print(told)
        if state.global_step == 0:
            dropped = {"too_long/tasks": self.assembly.dropped_tasks, "too_long/pairs": self.assembly.dropped_pairs}
            found = {f"selection/{name}": value for name, value in self._measure().items()}
            self.note({"step": 0, **dropped, **found})

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure selection accuracy now and then; it is logged with the step."""
        if self.eval_every and state.global_step % self.eval_every == 0:
            for name, value in self._measure().items():
                self.assembly.trainer._metrics["train"][f"selection/{name}"].append(value)

    def _measure(self) -> dict[str, float]:
        a = self.assembly
        if not a.eval_pairs or not a.collator:
            return {}
        return accuracy(a.trainer.model, a.eval_pairs, a.collator, a.trainer.run_config.contrast.pairs_per_forward)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_card(config: TrainConfig, folder: RunFolder, result: TrainResult) -> None:
    """README.md beside the model: settings, data, results and the curve."""
    from contextrl_data.stages.train.plots import plot_curve

    model = folder.path / "model"
    plot_curve(folder.log(), model / "curve.png")
    data = yaml.safe_load((folder.path / "run.json").read_text())
    rows = [
        ("selection accuracy before", result.selection_before),
        ("selection accuracy after", result.selection_after),
        ("first option chosen, after", result.first_option_after),
        ("mean reward on the evaluation tasks", result.reward),
        ("optimizer steps", result.steps),
        ("pairs dropped as too long", result.dropped_pairs),
        ("tasks dropped as too long", result.dropped_tasks),
    ]
    head = {"base_model": config.model, "library_name": "transformers", "tags": ["contextrl", "grpo", "trl"]}
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    measured = (
        f"Selection accuracy counts both orders of each pair of the split `{config.pairs.eval_split}`; chance is 0.5."
        if result.selection_after is not None
        else "Selection accuracy was not measured."
    )
    table = "\n".join(f"| {name} | {value:.4g} |" for name, value in rows if value is not None)
    (model / "README.md").write_text(
        f"""---
{yaml.safe_dump(head, sort_keys=False)}---
# {config.model} trained with objective `{config.objective}`

Trained by contextrl-data, run `{result.key}`; pairs `{data["pairs"]}`, tasks `{data["tasks"]}`.
{measured}

| | |
| --- | ---: |
{table}

![reward and selection accuracy over the steps](curve.png)

## Settings
```yaml
{settings}```
"""
    )
    shutil.copy(folder.path / "log.jsonl", model / "log.jsonl")
