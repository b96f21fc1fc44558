"""The reward of code repair: 1 where a model's patch passes its task's tests in the sandbox, else 0.

The trainer knows this module by its import path alone (`tasks.rewards: ["contextrl_data.stages.coding.reward:TestsPass"]`).
A patch under which the tests hang, are killed or no longer start gets 0 too: without it they ran, or the task would not
be one. What Docker or the cluster is to blame for is no reward: None, which GRPO leaves out of the step.
"""

from __future__ import annotations

import atexit
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal, TypeAlias

from contextrl_data.pipeline.errors import InputError, RowFailure
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.backend import DockerBackend, connect_host, reap_on
from contextrl_data.stages.coding.evaluate import EvaluateConfig, Status, evaluate_patch
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend
from contextrl_data.stages.coding.repair_answer import Shown, patch_of
from contextrl_data.stages.coding.sandbox import UnusableTask

Found: TypeAlias = Status | Literal["no_answer", "docker"]
REWARD: dict[Found, float | None] = {
    "no_answer": 0.0,
    "resolved": 1.0,
    "unresolved": 0.0,
    "patch_failed": 0.0,
    "timeout": 0.0,
    "infra_error": 0.0,
    "docker": None,
}
REMEMBERED = 4096


class Judge:
    """Runs patches against their tasks' tests. One for each process; safe for threads."""

    def __init__(
        self, config: EvaluateConfig | None = None, backend: DockerBackend | KubernetesBackend | None = None
    ) -> None:
        self.config = config or EvaluateConfig()
        self.run_id = f"reward-{secrets.token_hex(6)}"
        self.client = connect_host(backend or DockerBackend())
        atexit.register(self.close)
        self._known: OrderedDict[tuple[str, str], Found] = OrderedDict()
        self._lock = threading.Lock()

    def status(self, task: Row, patch: str) -> Found:
        """What became of a patch. The same patch of the same task is run once: a group often repeats itself."""
        key = (str(task["id"]), patch)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found: Found
        try:
            found = evaluate_patch(self.client, task, patch, self.config, self.run_id).status
        except UnusableTask as error:
            raise InputError(f"task {task['id']} cannot be run: {error}", "take it out of tasks.dataset") from error
        except RowFailure:
            return "docker"
        with self._lock:
            self._known[key] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def close(self) -> None:
        """Remove what containers are left."""
        atexit.unregister(self.close)
        with suppress(RowFailure):
            reap_on(self.client, self.run_id)
        self.client.close()


class TestsPass:
    """The reward function. Make a subclass with other values, and name that one, to change them."""

    __test__ = False
    __name__ = "tests_pass"
    workers = 4
    """Containers at once, in each process of the run."""
    timeout = 300.0
    """Most seconds for the tests of one patch; a patch that needs more gets 0."""
    backend: DockerBackend | KubernetesBackend = DockerBackend()
    """Where the containers run."""

    def __init__(self) -> None:
        self._judge = Judge(EvaluateConfig(timeout=self.timeout), self.backend)

    def __call__(
        self,
        completions: Sequence[Any],
        task: Sequence[str],
        shown: Sequence[str],
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """Judge a batch. `task` and `shown` are the columns that `contextrl-data tasks` writes."""
        with ThreadPoolExecutor(self.workers) as pool:
            found = list(pool.map(self._one, completions, task, shown))
        if log_metric is not None and found:
            for name in REWARD:
                log_metric(f"repair/{name}", found.count(name) / len(found))
        return [REWARD[each] for each in found]

    def _one(self, completion: Any, task: str, shown: str) -> Found:
        patch = patch_of(_text(completion), Shown(**json.loads(shown)))
        return "no_answer" if patch is None else self._judge.status(json.loads(task), patch)


def _text(completion: Any) -> str:
    if isinstance(completion, str):
        return completion
    return "".join(str(message.get("content") or "") for message in completion if message.get("role") == "assistant")
