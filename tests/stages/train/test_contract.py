"""What the trainer leans on inside TRL and accelerate. When this fails, TRL's pin was moved: read the trainer again."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelerate.state import GradientState
from accelerate.utils.deepspeed import DeepSpeedEngineWrapper
from transformers import Trainer
from trl import GRPOConfig, GRPOTrainer
from trl.generation.vllm_generation import VLLMGeneration

from contextrl_data.stages.train.arguments import grpo_arguments
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.trainer import ContextRLTrainer


def test_trl_is_the_pinned_minor() -> None:
    assert version("trl").split(".")[:2] == ["1", "16"]


def test_grpo_trainer_leaves_scaling_for_accumulation_to_the_loss() -> None:
    assert GRPOTrainer.loss_is_scaled_for_ga is True
    assert "current_gradient_accumulation_steps" in inspect.getsource(GRPOTrainer._compute_loss)


def test_compute_loss_is_the_public_way_to_the_grpo_loss() -> None:
    assert list(inspect.signature(GRPOTrainer.compute_loss).parameters) == [
        "self", "model", "inputs", "return_outputs", "num_items_in_batch",
    ]  # fmt: skip
    assert "return self._compute_loss(model, inputs)" in inspect.getsource(GRPOTrainer.compute_loss)


def test_rollouts_are_made_before_the_loss_is_computed() -> None:
    source = inspect.getsource(Trainer.training_step)
    assert 0 < source.index("model.train()") < source.index("self._prepare_inputs(inputs)")
    assert source.index("self._prepare_inputs(inputs)") < source.index("self.compute_loss(model, inputs")
    assert source.index("self.compute_loss(model, inputs") < source.index("self.accelerator.backward(loss")


def test_training_step_counts_micro_steps_and_rollouts_by_step() -> None:
    assert "self._step += 1" in inspect.getsource(GRPOTrainer.training_step)
    assert "self._step % generate_every" in inspect.getsource(GRPOTrainer._prepare_inputs)
    assert "self._buffered_inputs is None" in inspect.getsource(GRPOTrainer._prepare_inputs)


def test_metrics_are_averaged_and_cleared_when_logged() -> None:
    source = inspect.getsource(GRPOTrainer.log)
    assert "self._metrics[mode].items()" in source
    assert "self._metrics[mode].clear()" in source


def test_deepspeed_steps_inside_backward_only_when_gradients_are_synchronised() -> None:
    assert "sync_gradients=True" in str(inspect.signature(DeepSpeedEngineWrapper.backward))
    assert callable(GradientState._set_sync_gradients)


# vLLM needs a GPU. What can be held here: the settings arrive, and the trainer leaves alone what syncs and sleeps.


def arguments(tmp_path: Path, **engine: Any) -> GRPOConfig:
    config = TrainConfig.model_validate({"engine": {"cpu": True, "dtype": "float32", **engine}})
    return grpo_arguments(config, 1, tmp_path)


def test_settings_of_a_colocated_vllm_arrive(tmp_path: Path) -> None:
    more = {"vllm_enable_sleep_mode": True, "vllm_tensor_parallel_size": 2, "vllm_max_model_length": 8192}
    found = arguments(tmp_path, vllm="colocate", vllm_memory=0.4, grpo=more)
    assert (found.use_vllm, found.vllm_mode, found.vllm_gpu_memory_utilization) == (True, "colocate", 0.4)
    assert {name: getattr(found, name) for name in more} == more


def test_settings_of_a_vllm_server_arrive(tmp_path: Path) -> None:
    found = arguments(tmp_path, vllm="server", vllm_server="http://gpu:8000", grpo={"vllm_server_timeout": 900.0})
    assert (found.use_vllm, found.vllm_mode, found.vllm_server_base_url) == (True, "server", "http://gpu:8000")
    assert found.vllm_server_timeout == 900.0
    assert arguments(tmp_path).use_vllm is False


def test_vllm_is_handed_every_setting_that_it_needs() -> None:
    made = inspect.getsource(GRPOTrainer.__init__).partition("self.vllm_generation = VLLMGeneration(")[2]
    wanted = [name for name in inspect.signature(VLLMGeneration.__init__).parameters if name != "self"]
    for name in ("mode", "enable_sleep_mode", "gpu_memory_utilization", "server_base_url", "tensor_parallel_size"):
        assert name in wanted
        assert f"{name}=args.vllm_{name}" in made


def test_weights_are_synced_once_a_step_by_code_that_the_trainer_leaves_alone() -> None:
    source = inspect.getsource(GRPOTrainer._generate_single_turn)
    assert "self.state.global_step != self._last_loaded_step" in source  # so also after DA-SFT's supervised steps
    assert "self.vllm_generation.sync_weights()" in source
    own = {name for name, value in vars(ContextRLTrainer).items() if inspect.isfunction(value)}
    assert (
        own & {name for name in dir(GRPOTrainer) if name.startswith(("_generate", "_prepare", "_get", "log"))} == set()
    )
    assert {name for name in own if hasattr(GRPOTrainer, name)} == {
        "__init__", "compute_loss", "training_step", "create_scheduler",
    }  # fmt: skip
