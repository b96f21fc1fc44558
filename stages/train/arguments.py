"""Our settings as TRL's: batch arithmetic, and the refusal of what is known to go wrong."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import ConfigError, SetupError, first_line
from contextrl_data.stages.train.config import EngineConfig, RLConfig, TrainConfig
from contextrl_data.stages.train.models import dtype_of


def world_size() -> int:
    """Processes of this run, as accelerate and torchrun set it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def accumulation(rl: RLConfig, world: int) -> int:
    """Micro-steps of an optimizer step.

    Raises:
        ConfigError: the step's sequences do not divide evenly.
    """
    sequences = rl.prompts_per_step * rl.generations
    at_once = rl.sequences_per_device * world
    if sequences % at_once:
        raise ConfigError(
            f"rl.prompts_per_step {rl.prompts_per_step} x rl.generations {rl.generations} = {sequences} sequences do not "
            f"divide into {world} device(s) x rl.sequences_per_device {rl.sequences_per_device}",
            "make the product a multiple",
        )
    return sequences // at_once


def total_steps(rl: RLConfig, tasks: int) -> int:
    """RL steps of the run."""
    return rl.steps or max(1, math.ceil(rl.epochs * tasks / rl.prompts_per_step))


def choose_backward(config: TrainConfig, pair_images: bool, task_images: bool, vlm: bool, world: int) -> str:
    """`joint` or `separate`.

    Raises:
        ConfigError: a combination that gives wrong gradients, or an error, under DDP.
    """
    asked = config.contrast.backward
    mixed = pair_images != task_images
    if world > 1 and vlm and mixed:
        if config.engine.find_unused_parameters is False:
            raise ConfigError(
                "engine.find_unused_parameters false gives wrong gradients when pairs and tasks differ in having images",
                "leave it unset",
            )
        if asked == "joint":
            raise ConfigError(
                "contrast.backward joint fails under DDP when pairs and tasks differ in having images",
                "set contrast.backward to separate",
            )
    return "separate" if asked == "auto" else asked


def require_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker whose package is missing, before the first step."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise SetupError(f"log.report_to names {name}, which is not installed", f"pip install {name}")


def require_engine(engine: EngineConfig) -> None:
    """Refuse what the engine's settings need and this machine lacks, before anything is loaded.

    Raises:
        SetupError: a package is missing.
        ConfigError: the DeepSpeed config is not there.
    """
    attention = (engine.attention or "").replace("flash_attention_2", "flash_attn")
    needs = [
        ("vllm", engine.vllm != "off", f"engine.vllm {engine.vllm}", "pip install 'trl[vllm]', or set engine.vllm to off"),
        ("deepspeed", engine.deepspeed is not None, f"engine.deepspeed {engine.deepspeed}", "pip install deepspeed"),
        ("flash_attn", attention == "flash_attn", f"engine.attention {engine.attention}", "pip install flash-attn, or leave it unset"),
    ]  # fmt: skip
    for package, asked, setting, remedy in needs:
        if asked and importlib.util.find_spec(package) is None:
            raise SetupError(f"{setting} needs {package}, which is not installed", remedy)
    if engine.deepspeed is not None and not engine.deepspeed.is_file():
        raise ConfigError(f"engine.deepspeed {engine.deepspeed} is no file", "name DeepSpeed's JSON file")


def grpo_arguments(config: TrainConfig, steps: int, folder: Path) -> Any:
    """TRL's arguments for this run."""
    from trl import GRPOConfig

    rl, engine, log = config.rl, config.engine, config.log
    require_trackers(log.report_to)
    micro = accumulation(rl, world_size())
    bf16 = dtype_of(engine) == "bfloat16"
    values: dict[str, Any] = {
        "output_dir": str(folder),
        "seed": config.seed,
        "data_seed": config.seed,
        "max_steps": steps,
        "per_device_train_batch_size": rl.sequences_per_device,
        "per_device_eval_batch_size": rl.sequences_per_device,
        "num_generations_eval": 1,
        "gradient_accumulation_steps": micro,
        "steps_per_generation": micro * ((rl.rollout_prompts or rl.prompts_per_step) // rl.prompts_per_step),
        "num_generations": rl.generations,
        "max_completion_length": rl.max_completion_tokens,
        "learning_rate": rl.learning_rate,
        "lr_scheduler_type": rl.scheduler,
        "warmup_steps": rl.warmup_steps,
        "weight_decay": rl.weight_decay,
        "max_grad_norm": rl.max_grad_norm,
        "beta": rl.kl,
        "epsilon": rl.clip_low,
        "epsilon_high": rl.clip_high,
        "loss_type": rl.loss_type,
        "scale_rewards": rl.scale_rewards,
        "temperature": rl.temperature,
        "top_p": rl.top_p,
        "bf16": bf16,
        "use_cpu": engine.cpu,
        "activation_checkpointing": engine.gradient_checkpointing,
        "ddp_find_unused_parameters": engine.find_unused_parameters,
        "chat_template_kwargs": config.tasks.template_options,
        "reward_weights": config.tasks.reward_weights,
        "max_tool_calling_iterations": config.tasks.max_turns,
        "logging_steps": log.every,
        "logging_nan_inf_filter": False,  # a NaN must stop the run, not be averaged away
        "save_steps": log.save_every,
        "save_total_limit": log.keep,
        "eval_strategy": "no",
        "report_to": list(log.report_to) or "none",
        "log_completions": log.completions,
        "disable_tqdm": True,
    }
    if engine.deepspeed is not None:
        values["deepspeed"] = str(engine.deepspeed)
    if engine.vllm != "off":
        values |= {"use_vllm": True, "vllm_mode": engine.vllm, "vllm_gpu_memory_utilization": engine.vllm_memory}
        if engine.vllm_server:
            values["vllm_server_base_url"] = engine.vllm_server
    try:
        return GRPOConfig(**(values | engine.grpo))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"TRL refuses these settings: {first_line(error)}", "mend rl or engine") from error
