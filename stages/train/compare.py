"""`contextrl-data compare`: the paper's Figure 5 on your data: selection accuracy against task reward.

Same budget: every objective takes the same number of RL steps with the same number of prompts and completions, and
`da_sft` and `da_rl` see as many pairs as `contextrl` does.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from contextrl_data.pipeline.errors import RunError
from contextrl_data.stages.train.compare_config import CompareConfig
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.folder import RunFolder, run_key, write_json
from contextrl_data.stages.train.plots import plot_comparison
from contextrl_data.stages.train.run import TrainResult, require_packages, run_train
from contextrl_data.stages.train.sources import require_split
from contextrl_data.stages.train.statistics import mean_interval, wilson


@dataclass(frozen=True)
class Compared:
    """One objective over all seeds; intervals are at 95 %."""

    objective: str
    seeds: int
    selection: float
    selection_low: float
    selection_high: float
    first_option: float
    reward: float
    reward_low: float
    reward_high: float
    seconds: float
    """Mean training time of a run."""


def run_compare(config: CompareConfig, *, resume: bool = False) -> list[Compared]:
    """Measure the base and train every objective with every seed; finished runs are not repeated with `resume`.

    Raises:
        UserError: as for training.
    """
    require_packages()
    from accelerate import PartialState

    state = PartialState(cpu=config.train.engine.cpu or None)
    if config.output.exists() and any(config.output.iterdir()) and not resume:
        raise RunError(f"{config.output} is not empty", "add --resume to go on, or give another folder as output")
    train = config.train
    for name, split, what, setting in (
        (train.pairs.dataset, config.probe_split, "pairs", "probe_split"),
        (train.tasks.dataset, train.tasks.eval_split, "tasks", "train.tasks.eval_split"),
    ):
        require_split(name, split, what, setting)
    state.wait_for_everyone()  # all have looked before one of them writes
    rows = [summary("base", [measure_base(config, seed) for seed in config.seeds])]
    for objective in config.objectives:
        results = []
        for seed in config.seeds:
            results.append(run_train(one(config, objective, seed), resume=resume_one(config, objective, seed)))
            gc.collect()
        rows.append(summary(objective, results))
    if state.is_main_process:
        write(config, rows)
    return rows


def one(config: CompareConfig, objective: str, seed: int) -> TrainConfig:
    """The settings of one run of the comparison."""
    train = config.train
    changes = {
        "objective": "grpo" if objective == "base" else objective,
        "seed": seed,
        "output": config.output / f"{objective}-{seed}",
        "pairs": train.pairs.model_copy(update={"eval_split": config.probe_split}),
    }
    return train.model_copy(update=changes)


def resume_one(config: CompareConfig, objective: str, seed: int) -> bool:
    """Whether a run was begun before."""
    return (config.output / f"{objective}-{seed}" / "run.json").is_file()


def measure_base(config: CompareConfig, seed: int) -> TrainResult:
    """The model as it is, measured as the trained ones are.

    Raises:
        RunError: it was measured before, with other settings or data.
    """
    from contextrl_data.stages.train.assembly import assemble
    from contextrl_data.stages.train.run import measure_reward, measure_selection, quieten

    train = one(config, "base", seed)
    folder = RunFolder(train.output)
    key = run_key(train)
    if done := folder.result():
        if done["key"] != key:
            raise RunError(
                f"{config.output} holds the comparison {done['key']}, and these settings or data make {key}",
                "give another folder as output",
            )
        return TrainResult(**done)
    quieten()
    assembly = assemble(train)
    found = measure_selection(assembly)
    accuracy = found.get("accuracy")
    result = TrainResult(
        key=key,
        objective="base",
        steps=0,
        seconds=0.0,
        dropped_pairs=assembly.dropped_pairs,
        selection_before=accuracy,
        selection_after=accuracy,
        first_option_after=found.get("first"),
        selection_pairs=len(assembly.eval_pairs or ()),
        reward=measure_reward(assembly, seed),
        dropped_tasks=assembly.dropped_tasks,
    )
    if assembly.trainer.accelerator.is_main_process:
        train.output.mkdir(parents=True, exist_ok=True)
        write_json(train.output / "result.json", asdict(result))
    return result


def summary(objective: str, results: Sequence[TrainResult]) -> Compared:
    """Means over the seeds. The base's selection has no spread over seeds, so its interval is that of its pairs."""
    selection = mean_interval([r.selection_after or 0.0 for r in results])
    reward = mean_interval([r.reward or 0.0 for r in results])
    if len(results) == 1 or objective == "base":
        pairs = results[0].selection_pairs
        selection = (selection[0], *wilson(selection[0] * pairs, pairs))
    return Compared(
        objective=objective,
        seeds=len(results),
        selection=selection[0],
        selection_low=max(0.0, selection[1]),
        selection_high=min(1.0, selection[2]),
        first_option=sum(r.first_option_after or 0.0 for r in results) / len(results),
        reward=reward[0],
        reward_low=reward[1],
        reward_high=reward[2],
        seconds=sum(r.seconds for r in results) / len(results),
    )


def table(rows: Sequence[Compared]) -> str:
    """The comparison as a Markdown table."""
    lines = [
        "| objective | seeds | selection accuracy | 95 % | first option | task reward | 95 % | seconds |",
        "| --- | ---: | ---: | --- | ---: | ---: | --- | ---: |",
    ]
    lines += [
        f"| {r.objective} | {r.seeds} | {r.selection:.3f} | {r.selection_low:.3f} to {r.selection_high:.3f} "
        f"| {r.first_option:.3f} | {r.reward:.3f} | {r.reward_low:.3f} to {r.reward_high:.3f} | {r.seconds:.1f} |"
        for r in rows
    ]
    return "\n".join(lines)


def write(config: CompareConfig, rows: Sequence[Compared]) -> None:
    """Leave table, numbers and plot in the output folder."""
    folder: Path = config.output
    write_json(folder / "compare.json", [asdict(row) for row in rows])
    (folder / "compare.md").write_text(f"# Selection accuracy and task reward\n\n{table(rows)}\n")
    points = {
        r.objective: ((r.selection, r.selection_low, r.selection_high), (r.reward, r.reward_low, r.reward_high))
        for r in rows
    }
    plot_comparison(points, folder / "compare.png")
