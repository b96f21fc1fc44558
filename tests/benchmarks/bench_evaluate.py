"""Seconds for one evaluation: ours, the bare test command in a running container, and swebench's own runner.

python tests/benchmarks/bench_evaluate.py [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import small_repo

from contextrl_data.stages.coding.evaluate import EvaluateConfig, evaluate_patch
from contextrl_data.stages.coding.sandbox import SandboxConfig, connect
from contextrl_data.stages.coding.workspace import open_task

RUN = "bench-evaluate"
MOST_ROUNDS = 20


def ours(client: Any, task: dict[str, Any]) -> bool:
    """Container, patch, tests, grading, removal."""
    return evaluate_patch(client, task, task["patch"], EvaluateConfig(), RUN).status == "resolved"


def stock(client: Any, task: dict[str, Any], number: int) -> bool:
    """swebench's runner; another run id each time, else it answers from its cache."""
    from swebench.harness.run_evaluation import run_instance
    from swebench.harness.utils import make_test_spec

    spec = make_test_spec(
        {
            "instance_id": task["id"],
            "version": "",
            "eval_type": "pass_and_fail",
            "FAIL_TO_PASS": task["fail_to_pass"],
            "PASS_TO_PASS": task["pass_to_pass"],
            **{key: task[key] for key in ("image", "repo", "log_parser", "eval_script")},
        }
    )
    prediction = {"instance_id": task["id"], "model_name_or_path": "bench", "model_patch": task["patch"]}
    found = run_instance(spec, prediction, client, f"{RUN}-{os.getpid()}-{number}", 120)
    return bool(found and found[1][task["id"]]["resolved"])


def measure(rounds: int, work: Callable[[int], bool]) -> float:
    """Median seconds; every round must have resolved."""
    seconds = []
    for number in range(rounds):
        begun = time.perf_counter()
        assert work(number)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def main() -> None:
    """Print the three medians of the same run."""
    rounds = min(int(sys.argv[1]) if len(sys.argv) > 1 else 5, MOST_ROUNDS)
    client = connect()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # swebench writes its logs under the current folder
        small_repo.build(client, Path(folder) / "image")
        task = small_repo.task()
        ours(client, task)  # imports
        mine = measure(rounds, lambda number: ours(client, task))
        with open_task(client, task, SandboxConfig(), RUN) as sandbox:
            sandbox.put("/tmp/fix.diff", task["patch"].encode())
            sandbox.exec("git apply /tmp/fix.diff")
            command = "python3 -m pytest -rA --tb=no -p no:cacheprovider tests/test_windows.py"
            bare = measure(rounds, lambda number: sandbox.exec(command).exit_code == 0)
        tag = "contextrl-data/bench-evaluate:bug"
        # swebench has no setup patch: its image must hold the bug.
        context = Path(folder) / "bug"
        context.mkdir()
        (context / "bug.diff").write_text(task["setup_patch"])
        (context / "Dockerfile").write_text(
            f"FROM {task['image']}\nCOPY bug.diff /tmp/\n"
            "RUN git apply /tmp/bug.diff && git -c user.name=b -c user.email=b@localhost commit -qam bug\n"
            "ENV GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*\n"
        )
        client.images.build(path=str(context), tag=tag, rm=True, network_mode="none")
        try:
            theirs = measure(min(rounds, 2), lambda number: stock(client, {**task, "image": tag}, number))
        finally:
            client.images.remove(tag, force=True)
        os.chdir("/")
    print(f"bare test command  {bare:6.2f} s")
    print(f"ours               {mine:6.2f} s   (overhead {mine - bare:.2f} s)")
    print(f"swebench's runner  {theirs:6.2f} s   (overhead {theirs - bare:.2f} s)")


if __name__ == "__main__":
    main()
