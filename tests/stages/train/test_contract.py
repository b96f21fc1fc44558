"""What the trainer leans on inside TRL and accelerate. When this fails, TRL's pin was moved: read the trainer again."""

from __future__ import annotations

import inspect
from importlib.metadata import version

from accelerate.state import GradientState
from accelerate.utils.deepspeed import DeepSpeedEngineWrapper
from trl import GRPOTrainer


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


def test_training_step_counts_micro_steps_and_rollouts_by_step() -> None:
    assert "self._step += 1" in inspect.getsource(GRPOTrainer.training_step)
    assert "self._current_train_step_time += time_after - time_before" in inspect.getsource(GRPOTrainer.training_step)
    assert "self._step % generate_every" in inspect.getsource(GRPOTrainer._prepare_inputs)
    assert "self._buffered_inputs is None" in inspect.getsource(GRPOTrainer._prepare_inputs)


def test_metrics_are_averaged_and_cleared_when_logged() -> None:
    source = inspect.getsource(GRPOTrainer.log)
    assert "self._metrics[mode].items()" in source
    assert "self._metrics[mode].clear()" in source


def test_deepspeed_steps_inside_backward_only_when_gradients_are_synchronised() -> None:
    assert "sync_gradients=True" in str(inspect.signature(DeepSpeedEngineWrapper.backward))
    assert callable(GradientState._set_sync_gradients)
