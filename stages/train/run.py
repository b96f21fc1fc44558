"""`contextrl-data train`: one run from settings to a model with its card, resumable at any moment."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contextrl_data.pipeline.console import say
from contextrl_data.pipeline.errors import MissingExtra, RunError, SetupError, first_line
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.faults import clean_stops, enough_memory
from contextrl_data.stages.train.folder import RunFolder, run_key, write_json
from contextrl_data.stages.train.sources import settle

if TYPE_CHECKING:
    from contextrl_data.stages.train.assembly import Assembly


@dataclass(frozen=True)
class TrainResult:
    """What a run came to."""

    key: str
    objective: str
    steps: int
    seconds: float
    dropped_pairs: int
    selection_before: float | None
    selection_after: float | None
    first_option_after: float | None
    selection_pairs: int
    """Pairs that selection accuracy was measured on."""
    reward: float | None
    """Mean reward on `tasks.eval_split`."""
    dropped_tasks: int = 0
    """Of the training split, as too long."""


def run_train(config: TrainConfig, *, resume: bool = False) -> TrainResult:
    """Train, measure, and write model, log and card into `config.output`.

    Raises:
        UserError: a wrong setting, dataset or model, before the first step; NaN or no memory, after a clean stop.
    """
    require_packages()
    from accelerate import PartialState

    config, notes = settle(config)
    folder = RunFolder(config.output, main=PartialState(cpu=config.engine.cpu or None).is_main_process)
    checkpoint = folder.prepare(config, resume=resume)
    if resume and (done := folder.result()):
        return TrainResult(**done)
    for note in notes if folder.main else ():
        say(f"note: {note}", err=True)
    quieten()
    PartialState().wait_for_everyone()
    return _run(config, folder, checkpoint)


def require_packages() -> None:
    """Refuse at once where the packages of the extra are missing."""
    try:
        import accelerate  # noqa: F401
        import torch  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise MissingExtra("train", "training") from error


def quieten() -> None:
    """Switch off transformers' progress bars, as a run has lines of its own, and its word on names that TRL uses."""
    import warnings

    import transformers

    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", ".*is deprecated and will be removed in v6", FutureWarning)


def _run(config: TrainConfig, folder: RunFolder, checkpoint: Path | None) -> TrainResult:
    from contextrl_data.stages.train.assembly import assemble
    from contextrl_data.stages.train.report import RunLog, write_card

    if config.log.push_to and folder.main:
        require_repository(config.log.push_to)
    with enough_memory(
        f"no memory for {config.model} and what trains it",
        "take a smaller model, engine.lora_rank, more devices with engine.deepspeed or FSDP, or a lower engine.vllm_memory",
    ):
        assembly = assemble(config)
    trainer = assembly.trainer
    log = RunLog(folder, assembly, config.log.eval_every)
    log.install()
    with clean_stops(config, lambda: int(trainer.state.global_step)):
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = time.perf_counter() - started
        after = measure_selection(assembly)
        reward = measure_reward(assembly, config.seed)
    result = TrainResult(
        key=run_key(config),
        objective=config.objective,
        steps=trainer.state.global_step,
        seconds=round(seconds, 2),
        dropped_pairs=assembly.dropped_pairs,
        selection_before=_first_selection(folder),
        selection_after=after.get("accuracy"),
        first_option_after=after.get("first"),
        selection_pairs=len(assembly.eval_pairs or ()),
        reward=reward,
        dropped_tasks=assembly.dropped_tasks,
    )
    trainer.save_model(str(config.output / "model"))
    if trainer.accelerator.is_main_process:
        trainer.processing_class.save_pretrained(config.output / "model")
        write_card(config, folder, result)
        write_json(config.output / "result.json", asdict(result))
        if config.log.push_to:
            push(config)
    trainer.accelerator.wait_for_everyone()
    return result


def _first_selection(folder: RunFolder) -> float | None:
    lines = [line for line in folder.log() if line.get("step") == 0 and "selection/accuracy" in line]
    return lines[0]["selection/accuracy"] if lines else None


def measure_selection(assembly: Assembly) -> dict[str, float]:
    """Selection accuracy on the evaluation split, both orders; empty where there is none."""
    from contextrl_data.stages.train.selection import accuracy

    if assembly.eval_pairs is None or assembly.collator is None:
        return {}
    size = assembly.trainer.run_config.contrast.pairs_per_forward
    return accuracy(assembly.trainer.model, assembly.eval_pairs, assembly.collator, size)


def measure_reward(assembly: Assembly, seed: int) -> float | None:
    """Mean reward of one sample for each evaluation task; the same seed for every model that is compared."""
    from transformers import set_seed

    if assembly.eval_tasks is None:
        return None
    set_seed(seed)
    found: dict[str, float] = assembly.trainer.evaluate(eval_dataset=assembly.eval_tasks)
    return float(found["eval_reward"])


def require_repository(name: str) -> None:
    """Make the private Hub repository before the first step: a missing token shows now, not after hours.

    Raises:
        SetupError: the Hub cannot be reached, or refuses.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        HfApi().create_repo(name, private=True, exist_ok=True)
    except (HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError) as error:
        raise SetupError(
            f"cannot make log.push_to {name}: {first_line(error, 160)}",
            "log in with `hf auth login`, check the name, or leave log.push_to empty",
        ) from error


def push(config: TrainConfig) -> None:
    """Send the final model to the Hub.

    Raises:
        RunError: that failed; the model and its result are on disk.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    folder = config.output / "model"
    try:
        # Not the pickle of TrainingArguments, which names this machine's folders.
        HfApi().upload_folder(
            repo_id=config.log.push_to, folder_path=str(folder), ignore_patterns=["training_args.bin"]
        )
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise RunError(
            f"the model was not pushed: {first_line(error, 160)}",
            f"it is finished; send it with `hf upload {config.log.push_to} {folder}`",
        ) from error
