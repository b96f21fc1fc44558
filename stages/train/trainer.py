"""GRPO with L_CA in the same optimizer step, on top of TRL's `GRPOTrainer`.

Of `GRPOTrainer` this uses, beyond the public `compute_loss`, `training_step` and `create_scheduler`: `_step`,
`_metrics` and `loss_is_scaled_for_ga`. They are private, so TRL's minor version is pinned, and a test looks at them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from accelerate.utils import DistributedType
from torch import Tensor
from trl import GRPOTrainer

from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.contrast import ContrastTerm
from contextrl_data.stages.train.faults import not_a_number


class ContextRLTrainer(GRPOTrainer):  # type: ignore[misc]
    """L = L_GRPO + lambda * L_CA. `term` is None for plain GRPO."""

    _tag_names: ClassVar[list[str]] = ["trl", "grpo", "contextrl"]

    def __init__(
        self,
        *args: Any,
        config: TrainConfig,
        term: ContrastTerm | None = None,
        backward: str = "separate",
        sft_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        self.sft_steps = sft_steps
        self.run_config = config
        super().__init__(*args, **kwargs)
        self.term = term
        self.backward = backward
        self._micro = 0
        self._micro_of = -1
        self._sums: Tensor | None = None
        self._early: Tensor | float = 0.0  # L_CA, where its backward came before GRPO's; for the log

    # Which micro-step of the optimizer step this is. `_step` alone will not do: it starts at 0 in a resumed run.
    def _advance(self) -> None:
        self._micro = self._micro + 1 if self._micro_of == self.state.global_step else 0
        self._micro_of = self.state.global_step

    def _slot(self) -> tuple[int, int]:
        world = self.accelerator.num_processes
        slot = self._micro * world + self.accelerator.process_index
        return slot, world * self.current_gradient_accumulation_steps

    def _record(self, sums: Tensor) -> None:
        """Log means over the pairs of the whole step: its micro-steps may hold different numbers of them."""
        self._sums = sums if self._sums is None or not self._micro else self._sums + sums
        if self.term is not None and self._micro == self.current_gradient_accumulation_steps - 1:
            total = self.accelerator.reduce(self._sums, reduction="sum")
            for name, value in self.term.read(total).items():
                self._metrics["train"][name].append(value)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """GRPO's loss, with L_CA's beside it in the joint way, or after L_CA's own backward in the separate way.

        The rollouts are there already. So while vLLM generates beside the trainer, no gradient takes its memory.
        """
        active = model.training and self._active  # evaluation comes here too
        if active and self.backward == "separate" and not self._deepspeed:
            self._early = self._run_term(model)
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return loss + self._run_term(model, joint=True) if active and self.backward == "joint" else loss

    @property
    def _active(self) -> bool:
        return self.term is not None and self.term.kind == "ca"

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """One micro-step: of GRPO with its term, or of the supervised steps before it."""
        self._advance()
        if self.state.global_step < self.sft_steps:
            loss = self._run_term(model, last=True)
            self._step += 1
        else:
            self._early = torch.zeros((), device=self.accelerator.device)
            if self._active and self.backward == "separate" and self._deepspeed:
                # ZeRO-3 loses parameters where two backward passes follow one rollout: here L_CA's comes before it.
                self._early = self._run_term(model)
            loss = super().training_step(model, inputs, num_items_in_batch) + self._early
        if not torch.isfinite(loss).all():
            raise not_a_number("the loss", self.state.global_step)
        return loss

    def _run_term(self, model: Any, *, joint: bool = False, last: bool = False) -> Tensor:
        """The term's losses: added up for a joint backward, or else each with its own, one graph alive at a time.

        `last` says that no backward of GRPO follows, so that the last chunk's is the one that synchronises.
        """
        assert self.term is not None
        model.train()  # TRL has not yet done so at the beginning of a step
        step = self.state.global_step
        total = torch.zeros((), device=self.accelerator.device)
        sums: Tensor | None = None
        chunks = self.term.chunks(step, *self._slot())
        for place, draws in enumerate(chunks, 1):
            loss, part = self.term.loss(model, step, draws, self.accelerator)
            if not joint:
                with self._unsynced(model, unless=last and place == len(chunks)):
                    self.accelerator.backward(loss, **({"scale_wrt_gas": False} if self._deepspeed else {}))
                loss = loss.detach()
            total = total + loss
            sums = part if sums is None else sums + part
        if sums is not None:
            self._record(sums)
        return total

    @property
    def _deepspeed(self) -> bool:
        return bool(self.accelerator.distributed_type == DistributedType.DEEPSPEED)

    @contextlib.contextmanager
    def _unsynced(self, model: Any, unless: bool) -> Iterator[None]:
        """Accumulate gradients without reducing them, and without the optimizer step that DeepSpeed's backward takes.

        FSDP is left to reduce each backward: its `no_sync` would keep whole gradients on every device.
        """
        if unless:
            yield
            return
        state = self.accelerator.gradient_state
        before = state.sync_gradients
        state._set_sync_gradients(False)
        quiet = self.accelerator.distributed_type in (DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)
        try:
            with self.accelerator.no_sync(model) if quiet else contextlib.nullcontext():
                yield
        finally:
            state._set_sync_gradients(before)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """DA-SFT: the supervised steps have their own rate, and the RL steps a schedule of their own after them."""
        if not self.sft_steps:
            return super().create_scheduler(num_training_steps, optimizer)
        scheduler = super().create_scheduler(num_training_steps - self.sft_steps, optimizer)
        own = self.run_config.controls.sft_learning_rate
        factor = 1.0 if own is None else own / self.run_config.rl.learning_rate
        scheduler.lr_lambdas = [_delayed(inner, self.sft_steps, factor) for inner in scheduler.lr_lambdas]
        for group, base, rate in zip(
            scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
        ):
            group["lr"] = base * rate(0)
        return scheduler


def _delayed(inner: Callable[[int], float], steps: int, factor: float) -> Callable[[int], float]:
    """A schedule that starts after the supervised steps, which have a constant one.

    A function, not an object: the scheduler's state would hold an object, and could not be loaded again.
    """

    def rate(step: int) -> float:
        return factor if step < steps else inner(step - steps)

    return rate
