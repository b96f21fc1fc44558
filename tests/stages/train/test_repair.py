"""RL on code repair, in real containers: one answer judged by the task's tests, and an agent of several turns.

The tiny model is first taught two behaviours, one that repairs the bug and one that does not; which it shows is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import small_repo
import trl
from tiny_training import save_model, teach_saying
from transformers import AutoTokenizer
from trl.chat_template_utils import get_training_chat_template

from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.coding import rl_environment
from contextrl_data.stages.coding.repair_tasks import write_repair_tasks
from contextrl_data.stages.coding.sandbox import connect
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.folder import RunFolder
from contextrl_data.stages.train.run import run_train

pytestmark = pytest.mark.docker
Build = Callable[..., TrainConfig]
REPAIR = """\
<<<<<<< SEARCH
    while start + size < len(values):
=======
    while start + size <= len(values):
>>>>>>> REPLACE<|im_end|>"""
CALL = '<tool_call>\n{"name": "bash", "arguments": {"command": "%s"}}\n</tool_call><|im_end|>'
SED = "sed -i 's/start + size < len/start + size <= len/' spans/windows.py"
ENVIRONMENT = "contextrl_data.stages.coding.rl_environment:RepairEnvironment"
QWEN3 = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"


@pytest.fixture(scope="module")
def repairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A dataset of one repair task."""
    client = connect()
    small_repo.build(client, tmp_path_factory.mktemp("image"))
    folder = tmp_path_factory.mktemp("repairs")
    write_repair_tasks([small_repo.task()], folder, show="symbol", held_out=0.0, run_id="test-train-repair")
    yield folder
    for judge in rl_environment._JUDGES:
        judge.close()
    rl_environment._JUDGES.clear()
    left = [c for c in client.containers.list(all=True) if c.labels.get("contextrl-data", "").startswith("reward-")]
    client.close()
    assert left == []


@pytest.fixture
def repairer(repairs: Path, tmp_path: Path) -> Callable[..., Path]:
    """A model that was taught what to say."""

    def make(answers: list[str], steps: int, **template: Any) -> Path:
        folder = save_model(tmp_path / "repairer", positions=4096)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = QWEN3.read_text()
        tokenizer.save_pretrained(folder)
        tokenizer.chat_template = get_training_chat_template(tokenizer)
        question = pq.read_table(next((repairs / "data").glob("*"))).to_pylist()[0]["question"]
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True, **template
        )
        return teach_saying(folder, prompt, answers, steps)

    return make


def run(settings: Build, model: Path, repairs: Path, **tasks: Any) -> list[dict[str, Any]]:
    config = settings(
        model=str(model),
        pairs={"eval_limit": 4},
        tasks={"dataset": str(repairs), **tasks},
        rl={
            "steps": 1, "prompts_per_step": 1, "generations": 6, "sequences_per_device": 6, "max_completion_tokens": 400,
            "max_prompt_tokens": 4096,
        },
    )  # fmt: skip
    run_train(config)
    return [line for line in RunFolder(config.output).log() if "reward" in line]


def test_a_single_answer_is_judged_by_the_tests(settings: Build, repairer: Callable[..., Path], repairs: Path) -> None:
    model = repairer([REPAIR, "I do not know.<|im_end|>"], 260)
    (line,) = run(settings, model, repairs, rewards=["contextrl_data.stages.coding.reward:TestsPass"])
    assert 0 < line["reward"] < 1
    assert line["repair/resolved"] == pytest.approx(line["reward"])
    assert line["grad_norm"] > 0
    assert "contrast/loss" in line, "L_CA is in the same step"


def test_an_agent_of_several_turns_is_trained(settings: Build, repairer: Callable[..., Path], repairs: Path) -> None:
    model = repairer([CALL % SED, CALL % "ls"], 180, tools=[rl_environment.RepairEnvironment.bash])
    (line,) = run(settings, model, repairs, rewards=[], environment=ENVIRONMENT, max_turns=2)
    assert 0 < line["rewards/RepairEnvironment/mean"] < 1
    assert line["tools/call_frequency"] >= line["reward"], "no repair without a call"
    assert line["grad_norm"] > 0


def test_an_environment_is_refused_where_it_cannot_work(settings: Build, tasks: Path) -> None:
    with pytest.raises(InputError, match="cannot show tool calls"):
        run_train(settings(tasks={"rewards": [], "environment": ENVIRONMENT}))
    with pytest.raises(ConfigError, match="use grpo, contextrl or da_sft"):
        run_train(settings(objective="da_rl", tasks={"rewards": [], "environment": ENVIRONMENT}))
