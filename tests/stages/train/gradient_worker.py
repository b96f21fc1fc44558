"""One optimizer step of plain SGD for each given setting, so that the weights' change is the gradient.

    gradient_worker.py SETTINGS.json      (also under torchrun)

Each setting is {"config": TrainConfig, "out": folder}. Every process writes the batches that GRPO trained on, and the
first one the weights before and after.

With FSDP asked for, as `accelerate launch --use_fsdp` asks, accelerate's list of devices that it shards on is made one
longer: it leaves out the CPU, and would run plain DDP without a word. All that follows is its own FSDP2.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor

from contextrl_data.stages.train.assembly import assemble
from contextrl_data.stages.train.config import TrainConfig

KEPT = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages")


def one_step(config: TrainConfig, out: Path) -> None:
    """Train one step and write what a reference needs."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = assemble(config).trainer
    before = weights_of(trainer.model)
    seen: list[dict[str, torch.Tensor]] = []
    inner = trainer.compute_loss

    def watched(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append({name: inputs[name].detach().clone() for name in KEPT})
        return inner(model, inputs, *args, **kwargs)

    trainer.compute_loss = watched
    trainer.train()
    model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    after = weights_of(model)
    torch.save(seen, out / f"batches-{trainer.accelerator.process_index}.pt")
    if trainer.accelerator.is_main_process:
        log = [line for line in trainer.state.log_history if "contrast/loss" in line]
        logged = {"contrast": log[0]["contrast/loss"], "distributed": str(trainer.accelerator.distributed_type)}
        torch.save({"before": before, "after": after, "logged": logged}, out / "weights.pt")
    trainer.accelerator.wait_for_everyone()


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters, put together where FSDP or ZeRO-3 has divided them."""
    divided = [p for p in model.parameters() if hasattr(p, "ds_id")]
    if divided:
        import deepspeed

        gathered = deepspeed.zero.GatheredParameters(divided)
    with gathered if divided else nullcontext():
        return {name: whole(p.detach()).clone() for name, p in model.named_parameters()}


def whole(weights: torch.Tensor) -> torch.Tensor:
    """A parameter, put together where FSDP has sharded it."""
    return weights.full_tensor() if isinstance(weights, DTensor) else weights


def shard_on_the_cpu() -> None:
    """Have accelerate take its way for FSDP on CPU processes too."""
    inner = AcceleratorState.__init__

    def begin(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        inner(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin

    AcceleratorState.__init__ = begin


def main() -> None:
    """Run every setting in turn."""
    torch.set_num_threads(1)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        shard_on_the_cpu()
    for job in json.loads(Path(sys.argv[1]).read_text()):
        one_step(TrainConfig.model_validate(job["config"]), Path(job["out"]))


if __name__ == "__main__":
    main()
