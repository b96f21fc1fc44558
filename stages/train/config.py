"""Every setting of `contextrl-data train`. Free of torch, so that a config loads in no time on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.train.prompt import DEFAULT_TEMPLATE, PLACEHOLDERS

Objective = Literal["grpo", "contextrl", "da_sft", "da_rl"]


class PairsConfig(StageConfig):
    """The contrastive pairs, and how a pair becomes a choice prompt."""

    dataset: str = ""
    """Folder of an exported dataset, or a Hub id. Empty only with `objective: grpo`."""
    split: str = "train"
    """Split that is trained on."""
    eval_split: str = "validation"
    """Split that is measured during and after training, in both orders; empty: none. Passed over, with a note, where
    only this default names it and the dataset has no such split."""
    limit: int | None = Field(None, ge=1)
    """Use the first so many pairs."""
    eval_limit: int | None = Field(200, ge=1)
    """Measure on the first so many pairs."""
    max_tokens: int = Field(32_768, ge=8)
    """A choice prompt longer than this is dropped whole, never cut."""
    template: str = DEFAULT_TEMPLATE
    """The choice prompt: `{question}`, `{answer}`, `{context_a}`, `{context_b}`, `{label_a}`, `{label_b}`."""
    labels: tuple[str, str] = ("A", "B")
    """The two options. Each must be one token at the answer position."""
    answer_prefix: str = ""
    """Text that the assistant's turn begins with; the option's token follows it."""
    chat_template: Path | None = None
    """A Jinja file, for a model that has no chat template of its own."""
    template_options: dict[str, Any] = Field({"enable_thinking": False})
    """Handed to the chat template of choice prompts."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        missing = [name for name in PLACEHOLDERS[:4] if name not in self.template]
        if missing:
            raise ValueError(f"pairs.template lacks {', '.join(missing)}")
        if self.labels[0] == self.labels[1] or not all(self.labels):
            raise ValueError("pairs.labels must be two different, non-empty labels")
        return self


class TasksConfig(StageConfig):
    """The RL tasks with a verifiable reward."""

    dataset: str = ""
    """Folder or Hub id with `prompt` or `question`, the columns that the rewards read (`answer`), and `images`."""
    split: str = "train"
    """Split that is trained on."""
    eval_split: str = ""
    """Split whose mean reward is measured after training; empty: none."""
    limit: int | None = Field(None, ge=1)
    """Use the first so many tasks."""
    eval_limit: int | None = Field(256, ge=1)
    """Measure on the first so many tasks."""
    rewards: list[str] = Field(["qa"])
    """Names of built-in rewards, or `package.module:name` of your own. Empty: the environment's alone."""
    reward_weights: list[float] | None = None
    """One weight for each reward; all 1 by default."""
    environment: str | None = None
    """EXPERIMENTAL: `package.module:name` of a TRL environment factory, for tasks with tools and turns."""
    max_turns: int | None = Field(None, ge=1)
    """Most tool calls in a row that an environment answers in one rollout."""
    suffix: str = ""
    """Added to each prompt, for example to ask for <think> and <answer> tags."""
    template_options: dict[str, Any] = Field({})
    """Handed to the chat template of RL prompts."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.rewards and not self.environment:
            raise ValueError("tasks.rewards is empty, and there is no tasks.environment that could give the reward")
        return self


class ContrastConfig(StageConfig):
    """The context-awareness loss L_CA."""

    weight: float = Field(0.005, ge=0)
    """Lambda in L = L_GRPO + lambda * L_CA."""
    weight_end: float | None = Field(None, ge=0)
    """Where lambda has moved, linearly, by the last step; constant by default."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which lambda rises from zero."""
    clip: float | None = Field(5.0, gt=0)
    """c in clip(margin, -c, c); null: no clipping."""
    clip_mode: Literal["two_sided", "one_sided"] = "two_sided"
    """`two_sided` is the paper's: a confidently wrong pair has no gradient. `one_sided` cuts only at +c."""
    pairs_per_step: int = Field(8, ge=1)
    """Pairs in each optimizer step, over all processes."""
    share: float | None = Field(None, gt=0, lt=1)
    """Instead of `pairs_per_step`: pairs / (pairs + RL prompts) in a step."""
    share_end: float | None = Field(None, gt=0, lt=1)
    """Where the share has moved, linearly, by the last step."""
    every: int = Field(1, ge=1)
    """L_CA in every so-many-th optimizer step."""
    pairs_per_forward: int = Field(1, ge=1)
    """Choice prompts in one forward pass on one device: what L_CA's memory grows with."""
    backward: Literal["auto", "joint", "separate"] = "auto"
    """One backward pass for both terms, or L_CA's first (less memory). `auto`: separate, where that is known right."""


class ControlsConfig(StageConfig):
    """The paper's controls. Both see as many pairs as `contextrl` does in the same number of RL steps."""

    sft_pairs_per_step: int = Field(32, ge=1)
    """`da_sft`: pairs in a supervised step; the supervised steps come before the RL steps."""
    sft_learning_rate: float | None = Field(None, gt=0)
    """`da_sft`: learning rate of the supervised steps; the RL rate by default."""
    rl_share: float | None = Field(None, gt=0, lt=1)
    """`da_rl`: share of choice tasks in the RL mixture; by default that of pairs in a `contextrl` step."""


class RLConfig(StageConfig):
    """GRPO itself."""

    steps: int | None = Field(None, ge=1)
    """Optimizer steps; by default `epochs` over the tasks."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the tasks, where `steps` is not given."""
    prompts_per_step: int = Field(8, ge=1)
    """Prompts in one optimizer step, over all processes."""
    rollout_prompts: int | None = Field(None, ge=1)
    """Prompts sampled at once, a multiple of `prompts_per_step`; the same by default (strictly on-policy)."""
    generations: int = Field(8, ge=2)
    """Completions sampled for each prompt (the group)."""
    sequences_per_device: int = Field(8, ge=1)
    """Sequences in one forward pass on one device: what memory grows with."""
    max_completion_tokens: int = Field(512, ge=1)
    """Longest completion that is sampled."""
    max_prompt_tokens: int = Field(4096, ge=1)
    """A task with a longer prompt is dropped before training, and counted."""
    learning_rate: float = Field(1e-6, gt=0)
    """Peak learning rate."""
    scheduler: str = "constant"
    """Any scheduler of transformers."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the learning rate rises."""
    weight_decay: float = Field(0.0, ge=0)
    """Of AdamW."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradient clipping over both terms together; 0: none."""
    kl: float = Field(0.0, ge=0)
    """Weight of the KL term against the starting model."""
    clip_low: float = Field(0.2, gt=0)
    """Ratio clipping below."""
    clip_high: float = Field(0.28, gt=0)
    """Ratio clipping above."""
    loss_type: Literal["grpo", "dr_grpo", "bnpo", "dapo", "cispo", "sapo", "luspo", "vespo"] = "dapo"
    """How the policy loss is averaged, as in TRL."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """How advantages are scaled."""
    temperature: float = Field(1.0, gt=0)
    """Of sampling."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Of sampling."""


class EngineConfig(StageConfig):
    """How it runs. All but LoRA, `freeze_vision` and `grpo` change no result beyond rounding."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Weights; `auto`: bfloat16 on an accelerator that has it, else float32."""
    cpu: bool = False
    """Stay on the CPU though an accelerator is there."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass."""
    attention: str | None = None
    """Attention implementation of transformers, for example flash_attention_2."""
    deepspeed: Path | None = None
    """A DeepSpeed config file."""
    find_unused_parameters: bool | None = None
    """Of DDP; TRL's own choice by default."""
    vllm: Literal["off", "colocate", "server"] = "off"
    """Sampling by vLLM on the same devices, or by a vLLM server."""
    vllm_memory: float = Field(0.3, gt=0, lt=1)
    """Share of device memory for a colocated vLLM."""
    vllm_server: str = ""
    """Base URL of the vLLM server."""
    lora_rank: int = Field(0, ge=0)
    """LoRA on all linear layers; 0: full training."""
    lora_alpha: int | None = None
    """Twice the rank by default."""
    freeze_vision: bool = True
    """The vision tower of a VLM is not trained (as in the paper)."""
    grpo: dict[str, Any] = Field({})
    """Any further setting of TRL's GRPOConfig; wins over the ones above."""

    @field_validator("vllm", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML's word for it


class LogConfig(StageConfig):
    """What is written down."""

    every: int = Field(1, ge=1)
    """Steps between log lines."""
    save_every: int = Field(50, ge=1)
    """Steps between checkpoints."""
    keep: int | None = Field(2, ge=1)
    """Newest checkpoints that are kept; null: all."""
    eval_every: int | None = Field(None, ge=1)
    """Steps between measurements on `pairs.eval_split`; null: only before and after."""
    report_to: list[Literal["trackio", "wandb", "tensorboard", "mlflow"]] = Field([])
    """Trackers, through transformers' own integrations."""
    completions: bool = False
    """Write sampled completions beside the log."""
    push_to: str = ""
    """Hub repository for the final model; empty: none. Private."""


class TrainConfig(StageConfig):
    """One training run."""

    model: str = ""
    """Folder or Hub id of the model that is trained."""
    objective: Objective = "contextrl"
    """`grpo`, `contextrl`, or a control of the paper: `da_sft`, `da_rl`."""
    output: Path = Path("data/runs/train")
    """Folder of this run: checkpoints, log, model, model card."""
    seed: int = 0
    """Of everything that is drawn."""
    processor: dict[str, Any] = Field({})
    """Handed to the model's processor as it is loaded: `size` bounds the pixels of a VLM's images. Saved
    with the model."""
    pairs: PairsConfig = PairsConfig()
    """The contrastive pairs."""
    tasks: TasksConfig = TasksConfig()
    """The RL tasks."""
    contrast: ContrastConfig = ContrastConfig()
    """The context-awareness loss."""
    controls: ControlsConfig = ControlsConfig()
    """The controls."""
    rl: RLConfig = RLConfig()
    """GRPO."""
    engine: EngineConfig = EngineConfig()
    """How it runs."""
    log: LogConfig = LogConfig()
    """What is written down."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.contrast.share_end is not None and self.contrast.share is None:
            raise ValueError("contrast.share_end needs contrast.share, where the schedule starts")
        rollout = self.rl.rollout_prompts or self.rl.prompts_per_step
        if rollout % self.rl.prompts_per_step:
            raise ValueError(
                f"rl.rollout_prompts {rollout} is no multiple of rl.prompts_per_step {self.rl.prompts_per_step}"
            )
        if self.log.save_every % (rollout // self.rl.prompts_per_step):
            raise ValueError(
                f"log.save_every {self.log.save_every} would save inside a rollout of "
                f"{rollout // self.rl.prompts_per_step} steps, and could not be resumed exactly; give a multiple"
            )
        weights = self.tasks.reward_weights
        if weights is not None and len(weights) != len(self.tasks.rewards):
            raise ValueError(f"tasks.reward_weights has {len(weights)} numbers for {len(self.tasks.rewards)} rewards")
        return self

    @property
    def uses_pairs(self) -> bool:
        """Whether this objective trains on pairs."""
        return self.objective != "grpo"
